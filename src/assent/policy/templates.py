"""Templates: text with `{argument}` in it, filled from validated arguments and nothing else.

A resource is a path of segments that tells arguments apart: every placeholder stands in a segment of its own, and only
an argument declared as a path may bring further `/`, and only at the end. So two different targets never read the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from assent.core.canonical import Json, canonical
from assent.core.characters import visible
from assent.core.patterns import RESOURCE_SEPARATOR
from assent.policy.findings import quoted

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """Literal texts and argument names in turn, beginning and ending with a text."""

    parts: tuple[str, ...]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments it takes, in order."""
        return self.parts[1::2]

    def fill(self, arguments: Mapping[str, Json]) -> str:
        """Return the text with every argument written out; strings as they are, anything else as canonical JSON."""
        parts = self.parts
        if len(parts) == 1:
            return parts[0]
        if parts == ("", parts[1], ""):
            return written(arguments[parts[1]])
        return "".join([written(arguments[part]) if index % 2 else part for index, part in enumerate(parts)])

    def show(self, arguments: Mapping[str, Json]) -> str:
        """Return the text for a person: what a reader cannot see in a value is made visible."""
        parts = self.parts
        if len(parts) == 1:
            return parts[0]
        return "".join([visible(written(arguments[part])) if index % 2 else part for index, part in enumerate(parts)])


def written(value: Json) -> str:
    """Return a scalar as it stands in a filled template."""
    return value if isinstance(value, str) else canonical(value).decode()


def parse(text: str) -> Template | str:
    """Return the template that `text` writes down, or what is wrong with it."""
    parts = tuple(_PLACEHOLDER.split(text))
    for literal in parts[::2]:
        if "{" in literal or "}" in literal:
            return f"a brace in {quoted(literal)} belongs to no `{{argument}}`"
    return Template(parts)


def resource_fault(template: Template, paths: frozenset[str]) -> str | None:
    """Return why `template` cannot name a resource, or None; `paths` are arguments that may hold several segments."""
    segments = _segments(template)
    if any(not segment for segment in segments):
        return "a segment of the resource is empty"
    if any(len(_PLACEHOLDER.findall(segment)) > 1 for segment in segments):
        return "two arguments in one segment of the resource could be told apart by nobody, put `/` between them"
    for segment in segments:
        found = _PLACEHOLDER.search(segment)
        if found and found[1] in paths and (segment != found[0] or segment is not segments[-1]):
            return f"the path {quoted(found[1])} must be the whole last segment of the resource"
    return None


def _segments(template: Template) -> list[str]:
    text = "".join(f"{{{part}}}" if index % 2 else part for index, part in enumerate(template.parts))
    return text.split(RESOURCE_SEPARATOR)
