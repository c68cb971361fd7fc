"""Tools from Python: functions are read, never run or imported; a guarded one is the tool that its guard names."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from assent.core.errors import BadRequest
from assent.policy.drafting.sketches import Sketch, Type

_SIMPLE: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "Path": "string"}
_LISTS: Final = frozenset({"list", "List", "Sequence", "tuple", "Tuple", "set", "frozenset", "Iterable", "Collection"})
_RECEIVERS: Final = frozenset({"self", "cls"})
_GUARD: Final = "guard"


def of_python(target: str, root: Path) -> tuple[Sketch, ...]:
    """Return the tools that `module:function`, `file.py:function`, or every guarded function of a module stands for.

    Raises:
        BadRequest: there is no such module or function, or it is not Python.

    """
    where, _, function = target.partition(":")
    file = _file_of(where, root)
    try:
        tree = ast.parse(file.read_text())
    except (SyntaxError, UnicodeDecodeError, ValueError) as fault:
        raise BadRequest(f"`{file}` is not Python: {fault}") from None
    functions = dict(_functions(tree, ""))
    if function:
        if function not in functions:
            raise BadRequest(f"`{file}` has no function `{function}`", hint=f"it has {', '.join(functions) or 'none'}")
        return (_sketch(function, functions[function], file),)
    guarded = tuple(_sketch(name, node, file) for name, node in functions.items() if _guard_of(node) is not None)
    if not guarded:
        raise BadRequest(f"`{file}` guards no function", hint=f"name one: {where}:FUNCTION")
    return guarded


def _file_of(where: str, root: Path) -> Path:
    if where.endswith(".py"):
        candidates = [root / where]
    else:
        path = root.joinpath(*where.split("."))
        candidates = [path.with_suffix(".py"), path / "__init__.py", *_in_src(root, where)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise BadRequest(f"there is no module `{where}` here", hint="name its file: path/to/module.py:function")


def _in_src(root: Path, where: str) -> tuple[Path, ...]:
    path = (root / "src").joinpath(*where.split("."))
    return path.with_suffix(".py"), path / "__init__.py"


_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(tree: ast.AST, inside: str) -> Iterator[tuple[str, _Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{inside}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{inside}{node.name}.")


def _guard_of(node: _Function) -> ast.Call | None:
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else None
        if isinstance(decorator, ast.Call) and isinstance(called, ast.Attribute) and called.attr == _GUARD:
            return decorator
    return None


def _sketch(name: str, node: _Function, file: Path) -> Sketch:
    guard = _guard_of(node)
    tool = _text(guard.args[0]) if guard is not None and guard.args else None
    unjudged = _RECEIVERS | _unjudged(guard)
    arguments: dict[str, Type] = {}
    notes: list[str] = []
    for argument, default in _parameters(node):
        if argument.arg in unjudged:
            continue
        found = type_of(argument.annotation)
        if found is None:
            said = "no annotation" if argument.annotation is None else f"`{ast.unparse(argument.annotation)}`"
            notes.append(f"`{argument.arg}` has {said}, which is no type of a catalogue: declare what it takes")
            found = {"type": "string"}
        arguments[argument.arg] = {**found, "optional": True} if default else found
    if node.args.vararg or node.args.kwarg:
        notes.append("it takes further arguments (`*` or `**`): a catalogue names every one")
    words = (ast.get_docstring(node) or "").strip().splitlines()
    return Sketch(
        name=tool or f"{file.stem}.{name}".replace("_", "-"),
        description=words[0].rstrip(".") if words else "",
        arguments=arguments,
        notes=tuple(notes),
        source=f"{file.name}:{name}",
    )


def _unjudged(guard: ast.Call | None) -> frozenset[str]:
    given = next((keyword.value for keyword in guard.keywords if keyword.arg == "unjudged"), None) if guard else None
    if not isinstance(given, ast.Tuple | ast.List):
        return frozenset()
    return frozenset(text for one in given.elts if (text := _text(one)) is not None)


def _parameters(node: _Function) -> Iterator[tuple[ast.arg, bool]]:
    """Yield every named parameter and whether it has a default."""
    plain = [*node.args.posonlyargs, *node.args.args]
    required = len(plain) - len(node.args.defaults)
    yield from ((argument, index >= required) for index, argument in enumerate(plain))
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        yield argument, default is not None


def type_of(annotation: ast.expr | None) -> Type | None:
    """Return the type that an annotation means, or None where no catalogue type does."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return type_of(_parsed(annotation.value))
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union([annotation.left, annotation.right])
    if isinstance(annotation, ast.Subscript):
        return _generic(_last(annotation.value), annotation.slice)
    name = _SIMPLE.get(_last(annotation))
    return None if name is None else {"type": name}


def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _last(node: ast.expr | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _generic(name: str, inside: ast.expr) -> Type | None:
    if name == "Optional":
        return _nullable(type_of(inside))
    if name == "Union":
        return _union(list(inside.elts) if isinstance(inside, ast.Tuple) else [inside])
    if name == "Annotated" and isinstance(inside, ast.Tuple):
        return type_of(inside.elts[0])
    if name == "Literal":
        return _literal(list(inside.elts) if isinstance(inside, ast.Tuple) else [inside])
    if name in _LISTS:
        inner = type_of(inside.elts[0] if isinstance(inside, ast.Tuple) else inside)
        return None if inner is None else {"type": "list", "of": inner}
    return None


def _union(parts: list[ast.expr]) -> Type | None:
    others = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
    found = type_of(others[0]) if len(others) == 1 else None
    return found if len(others) == len(parts) else _nullable(found)


def _nullable(found: Type | None) -> Type | None:
    return None if found is None else {**found, "nullable": True}


def _literal(parts: list[ast.expr]) -> Type | None:
    values: list[Any] = [part.value for part in parts if isinstance(part, ast.Constant)]
    kinds = {type(value) for value in values}
    if len(values) != len(parts) or kinds not in ({str}, {int}):
        return None
    return {"type": "string" if kinds == {str} else "integer", "enum": values}


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
