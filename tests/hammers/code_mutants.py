"""Mutants of a module: the same code with one small thing changed, as somebody might get it wrong.

Pure: source in, mutants out, always in the same order. What is changed: comparisons, `and` and `or`, conditions,
numbers, names in text, arithmetic, what is returned or raised, statements that do something, entries of tables. What is
not: annotations, names of types, decorators, docstrings, and words for people: f-strings, texts with a space in them.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

LONGEST_SHOWN: Final = 70


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, what stood there and what stands there now; `tree` makes the whole module with it.

    `within` is the function that it is in, innermost, or nothing.
    """

    line: int
    within: str
    before: str
    after: str
    tree: Callable[[], ast.Module]

    @property
    def change(self) -> str:
        """The change in words, without its line, so that it is the same when other lines move."""
        return f"{self.before} → {self.after}"


Replace = Callable[[ast.AST], ast.AST | None]
_COMPARED: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
_SWAPPED: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module."""
    tree = ast.parse(source)
    tables = set(_tables(tree))
    for place in _places(tree):
        for changed in (*_changes(place), *_left_out(place, tables)):
            yield _mutant(tree, place, changed)


def _tables(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the displays whose entries are data of their own; not pairs that are keys, nor what is unpacked at once."""
    no_tables: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            no_tables.update(key for key in node.keys if key is not None)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            no_tables.update((node.value, node.targets[0]))
        elif isinstance(node, ast.Subscript):
            no_tables.add(node.slice)
        if isinstance(node, ast.Set | ast.Dict | ast.List | ast.Tuple) and node not in no_tables:
            yield node


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that may be changed: its parent's field, the position in it where that is a list, the function around."""

    parent: ast.AST
    field: str
    position: int | None
    node: ast.AST
    within: str


def _places(tree: ast.AST, within: str = "") -> Iterator[_Place]:
    """Yield nodes in the order of the source, without those that are never changed."""
    for field, value in ast.iter_fields(tree):
        if field in {"annotation", "returns", "decorator_list", "type_params", "bases"}:
            continue
        items = value if isinstance(value, list) else [value]
        for position, node in enumerate(items):
            if not isinstance(node, ast.AST) or _is_for_people(tree, node) or _is_about_types(node):
                continue
            yield _Place(tree, field, position if isinstance(value, list) else None, node, within)
            yield from _places(node, _name(node) or within)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node.name
    return "lambda" if isinstance(node, ast.Lambda) else ""


def _is_for_people(parent: ast.AST, node: ast.AST) -> bool:
    """Whether a node is a docstring, or words that somebody reads."""
    if isinstance(parent, ast.Expr) and isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.JoinedStr):
        return True
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip()


def _is_about_types(node: ast.AST) -> bool:
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"NewType", "TypeVar"}


def _mutant(tree: ast.Module, place: _Place, changed: ast.AST | None) -> Mutant:
    """Return the mutant of one change; None leaves the node out."""
    line = getattr(place.node, "lineno", getattr(place.parent, "lineno", 0))
    after = "left out" if changed is None else _shown(changed)
    return Mutant(line, place.within, _shown(place.node), after, lambda: _changed(tree, place, changed))


def _changed(tree: ast.Module, place: _Place, changed: ast.AST | None) -> ast.Module:
    memo: dict[int, object] = {}
    whole = copy.deepcopy(tree, memo)
    parent = memo[id(place.parent)]
    value = getattr(parent, place.field)
    if place.position is None:
        setattr(parent, place.field, changed)
    elif changed is None:
        del value[place.position]
        if place.field == "keys":
            del parent.values[place.position]  # type: ignore[attr-defined]  # only a dict has keys
    else:
        value[place.position] = changed
    return ast.fix_missing_locations(whole)


def _shown(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _changes(place: _Place) -> Iterator[ast.AST | None]:
    node = place.node
    if isinstance(node, ast.Compare):
        yield from _compared(node)
    elif isinstance(node, ast.BoolOp):
        yield from _combined(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _COMPUTED:
        yield _with(node, op=_COMPUTED[type(node.op)]())
        yield from _statements(node)
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _SWAPPED:
        yield _with(node, id=_SWAPPED[node.id])
    else:
        yield from _statements(node)
    if place.field == "test" and isinstance(node, ast.Call | ast.Name | ast.Attribute):
        yield ast.UnaryOp(op=ast.Not(), operand=copy.deepcopy(node))


def _compared(node: ast.Compare) -> Iterator[ast.AST]:
    for position, op in enumerate(node.ops):
        for other in _COMPARED[type(op)]:
            yield _with(node, ops=[*node.ops[:position], other(), *node.ops[position + 1 :]])


def _combined(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for position in range(len(node.values)):
        rest = [*node.values[:position], *node.values[position + 1 :]]
        yield rest[0] if len(rest) == 1 else _with(node, values=rest)


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(value + "X" if value else "X")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"X")


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    is_done = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    if is_done or isinstance(node, ast.Raise | ast.AugAssign | ast.Delete):
        yield ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Continue):
        yield ast.Break()
    elif isinstance(node, ast.Break):
        yield ast.Continue()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _left_out(place: _Place, tables: set[ast.AST]) -> Iterator[None]:
    """Yield once where the node can be left out: an entry of a table, or what `replace` is to change."""
    parent = place.parent
    is_entry = parent in tables and not place.within and place.field in {"elts", "keys"}
    is_change = isinstance(place.node, ast.keyword) and isinstance(parent, ast.Call) and _is_replace(parent.func)
    if is_change or (is_entry and len(getattr(parent, place.field)) > 1):
        yield None


def _is_replace(called: ast.expr) -> bool:
    return isinstance(called, ast.Name) and called.id == "replace"


def _with(node: ast.AST, **changes: object) -> ast.AST:
    fields = {name: changes.get(name, value) for name, value in ast.iter_fields(node)}
    return ast.copy_location(type(node)(**fields), node)
