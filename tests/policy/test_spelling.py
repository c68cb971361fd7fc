"""One spelling: a value that a rule looks at is canonical or refused, so no other spelling slips past a deny."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.decisions import Effect
from assent.core.patterns import matches
from assent.core.reasons import Reason
from assent.policy import LoadedPolicy
from assent.policy.spelling import PATTERN, Spelling, advice, checker, fault, form_to_use
from tests.policy.directory import SAMPLE, ask, load_files

TOOL = """\
disk.write:
  description: write
  impact: write
  resource: "{path}"
  environment: {from: path, segment: 0, match: {stg: staging, prod: production}}
  arguments:
    path: string
    mode: {type: string, optional: true, unicode: true}
    host: {type: string, optional: true, case: lower}
  how_bad: it is replaced
  undo: write it back
"""
ROLE = """\
disk:
  description: writes
  owner: dana
  rules:
    - {id: all, tools: [disk.write], environments: ["*"], effect: allow}
    - {id: not-billing, tools: [disk.write], environments: ["*"], resources: ["*/billing/**"], effect: deny}
    - {id: not-root, tools: [disk.write], environments: ["*"], when: {mode: {equals: root}}, effect: deny}
    - {id: not-evil, tools: [disk.write], environments: ["*"], when: {host: {equals: evil.example}}, effect: deny}
"""
AGENT = "writer: {owner: dana, roles: [disk], expires: 2027-03-31}\n"

SPELLINGS = [
    "stg/./billing/x",
    "stg//billing/x",
    "stg/other/../billing/x",
    "./stg/billing/x",
    "/stg/billing/x",
    "stg/billing/x/",
    "stg/%62illing/x",
    "stg/b%69lling/x",
    "stg%2Fbilling%2fx",
    "stg/%2562illing/x",
    "stg/%2e%2e/billing/x",
    "stg/bіlling/x",  # a Cyrillic і
    "stg/billıng/x",
    "stg/ｂilling/x",
    "stg/bi\u200blling/x",
    "stg/billing\u2060/x",
    "stg/\u202ebilling/x",
    "stg/billing\x00/x",
    "stg/billing\n/x",
    "stg/billing\t/x",
    "stg/billing /x",
    "stg/ billing/x",
    "stg\\billing\\x",
    "stg/billing\u00ad/x",
    "stg/billing\ufe0f/x",
    "stg/billing\u3164/x",
    "stg/bi\u0301lling/x",
]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> LoadedPolicy:
    files = {**SAMPLE, "tools/disk.yaml": TOOL, "roles/disk.yaml": ROLE}
    files["agents.yaml"] += AGENT
    return load_files(tmp_path_factory.mktemp("p") / "p", files)


def effect(policy: LoadedPolicy, arguments: dict[str, str]) -> Effect | str:
    answer = ask(policy, "writer", "disk.write", arguments)  # type: ignore[arg-type]  # a dict of texts is JSON
    return answer.code if isinstance(answer, Reason) else answer.effect


def test_the_plain_spelling_meets_the_deny(policy: LoadedPolicy) -> None:
    sound = {"mode": "x", "host": "a.example"}
    assert effect(policy, {"path": "stg/billing/x", **sound}) is Effect.DENY
    assert effect(policy, {"path": "stg/other/x", **sound}) is Effect.ALLOW


@pytest.mark.requirement("T7")
@pytest.mark.parametrize("path", SPELLINGS)
def test_no_other_spelling_slips_past_a_deny_of_a_resource(policy: LoadedPolicy, path: str) -> None:
    assert effect(policy, {"path": path, "mode": "x", "host": "a.example"}) in {"not_canonical", Effect.DENY}


@pytest.mark.requirement("T7")
@pytest.mark.parametrize("mode", ["r\u200boot", "ro\u043et", "%72oot", "ｒoot", "root\x00", "root\n", "\u2060root"])
def test_no_other_spelling_slips_past_a_deny_of_an_argument(policy: LoadedPolicy, mode: str) -> None:
    assert effect(policy, {"path": "stg/a", "mode": mode, "host": "a.example"}) == "not_canonical"


@pytest.mark.requirement("T7")
def test_where_case_is_one_only_lower_case_is_taken(policy: LoadedPolicy) -> None:
    assert effect(policy, {"path": "stg/a", "mode": "x", "host": "EVIL.example"}) == "not_canonical"
    assert effect(policy, {"path": "stg/a", "mode": "x", "host": "evil.example"}) is Effect.DENY


def test_a_field_of_any_script_takes_its_own_words(policy: LoadedPolicy) -> None:
    assert effect(policy, {"path": "stg/a", "mode": "prüfen проверка", "host": "a.example"}) is Effect.ALLOW


@pytest.mark.parametrize(
    ("value", "how", "form"),
    [
        ("prod//a/./b", Spelling(is_path=True), "prod/a/b"),
        ("/prod/%61", Spelling(is_path=True), "prod/a"),
        ("pro\u200bd", Spelling(), "prod"),
        ("ｐrod", Spelling(), "prod"),
        ("PROD", Spelling(is_lower=True), "prod"),
        ("a/../b", Spelling(is_path=True), None),
        ("\u200b", Spelling(), None),
    ],
)
def test_a_refusal_names_the_form_to_use_where_there_is_one(value: str, how: Spelling, form: str | None) -> None:
    assert form_to_use(value, how) == form
    assert (f"use `{form}`" in advice(value, how)) is (form is not None)


@given(st.text(max_size=30), st.booleans(), st.booleans(), st.booleans())
def test_the_form_to_use_is_canonical_and_stays_itself(text: str, path: bool, lower: bool, anything: bool) -> None:
    how = Spelling(is_path=path, is_lower=lower, is_unicode=anything)
    if (form := form_to_use(text, how)) is not None:
        assert fault(form, how) is None
        assert form_to_use(form, how) == form


def decoded(text: str) -> str:
    """Reads a path as a lenient system might: folded, unescaped, resolved."""
    text = unicodedata.normalize("NFKC", text).replace("%62", "b").replace("%2e", ".").replace("%2F", "/")
    kept: list[str] = []
    for segment in text.replace("\\", "/").split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in {"", "."}:
            kept.append("".join(c for c in segment if c.isprintable()).strip())
    return "/".join(kept)


PIECES = st.lists(
    st.sampled_from(
        ["stg", "billing", "/", "//", "/./", "/../", "%62illing", "b", "x", "\u200b", "ｂ", "%2e", "\\", " "]
    ),
    max_size=8,
).map("".join)


@pytest.mark.requirement("T7")
@given(PIECES)
def test_what_is_taken_reads_the_same_to_a_lenient_system(text: str) -> None:
    if fault(text, PATTERN) is None:
        assert matches("*/billing/**", text, "/") == matches("*/billing/**", decoded(text), "/")


SPELLED = st.builds(
    Spelling, is_path=st.booleans(), is_segment=st.booleans(), is_unicode=st.booleans(), is_lower=st.booleans()
)


@pytest.mark.requirement("T7")
@given(st.text(max_size=12) | st.text("ab/.\\% A-", max_size=12) | PIECES, SPELLED)
def test_the_quick_check_says_what_the_full_one_says(text: str, how: Spelling) -> None:
    assert checker(how)(text) == fault(text, how)
