"""House rules that a linter does not know: sizes, names, reasons, a light import, one Casbin, versions in step.

Each rule is a function over files, so that a violation is reported as `path:line` and not as a failed scan.
"""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE_FOLDERS = ("src", "tests", "benchmarks", "docs")
FUNCTION_LINES = 60
MODULE_LINES = 500
VAGUE_NAMES = {"utils", "util", "helpers", "common", "manager", "engine", "misc"}
HEAVY_MODULES = ("pydantic", "fastapi", "starlette", "uvicorn", "casbin", "cryptography", "joserfc", "typer", "rich")
CORE_MAY_IMPORT = sys.stdlib_module_names | {"assent", "msgspec", "rfc8785"}
WRITTEN_FOLDERS = (*CODE_FOLDERS, ".ci", "deploy", "policies", "requirements", "typings")
# Put together from words, so that this file does not find itself. Behind a star it is a pattern about any machine.
MACHINE_PATHS = re.compile(
    "|".join(rf"(?<!\*)/{folder}/" for folder in ("root", "work", "home", "Users", "opt/dev", "opt/pypi"))
)
UNDONE = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "NotImplemented" + "Error")))
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<codes>[:\[][^#]*)?(?P<reason>#.*)?$")


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def written_files() -> list[Path]:
    inside = [path for folder in WRITTEN_FOLDERS for path in (ROOT / folder).rglob("*")]
    files = [path for path in (*ROOT.iterdir(), *inside) if path.is_file() and "__pycache__" not in path.parts]
    return sorted(path for path in files if b"\0" not in path.read_bytes())


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{place(path, node.lineno)} {node.name} has {lines} lines"


def imported_packages(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, (node.module or "").partition(".")[0]


def test_no_function_is_longer_than_sixty_lines() -> None:
    assert [finding for path in python_files(*CODE_FOLDERS) for finding in long_functions(path)] == []


def test_no_module_is_longer_than_five_hundred_lines() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in python_files(*CODE_FOLDERS)}
    assert [f"{place(path, 1)} has {size} lines" for path, size in sizes.items() if size > MODULE_LINES] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [place(path, 1) for path in python_files(*CODE_FOLDERS) if VAGUE_NAMES & {path.stem, path.parent.name}] == []


def test_every_module_opens_with_what_it_owns() -> None:
    trees = {path: ast.parse(path.read_text()) for path in python_files(*CODE_FOLDERS)}
    assert [place(path, 1) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_core_imports_only_the_standard_library_and_what_writes_canonical_json() -> None:
    found = [(path, *found) for path in python_files("src/assent/core") for found in imported_packages(path)]
    assert [f"{place(path, line)} {name}" for path, line, name in found if name not in CORE_MAY_IMPORT] == []


def test_work_left_undone_is_not_left_in_the_code() -> None:
    lines = [(path, n, line) for path in python_files(*CODE_FOLDERS) for n, line in numbered(path)]
    assert [place(path, n) for path, n, line in lines if UNDONE.search(line)] == []


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    return enumerate(path.read_text(errors="replace").splitlines(), start=1)


def test_the_tree_names_no_path_of_somebodys_machine() -> None:
    lines = [(path, n, line) for path in written_files() for n, line in numbered(path)]
    assert [place(path, n) for path, n, line in lines if MACHINE_PATHS.search(line)] == []


def test_every_exception_from_a_lint_rule_in_the_configuration_has_a_reason() -> None:
    rule = re.compile(r'^\s+"[A-Z]{1,4}\d{0,4}",')
    lines = [(n, line) for n, line in numbered(ROOT / "pyproject.toml") if rule.match(line)]
    assert lines
    assert [f"pyproject.toml:{n} {line.strip()}" for n, line in lines if not re.search(r"# \S", line)] == []


def test_every_suppression_in_the_code_names_its_rule_and_a_reason() -> None:
    lines = [(path, n, SUPPRESSION.search(line)) for path in python_files(*CODE_FOLDERS) for n, line in numbered(path)]
    bare = [(path, n) for path, n, found in lines if found and not (found["codes"] and found["reason"])]
    assert [place(path, n) for path, n in bare] == []


def test_exactly_one_distribution_provides_casbin() -> None:
    # The frozen `casbin` and the living `pycasbin` write the same folder, and whichever came last wins.
    providers = importlib.metadata.packages_distributions()["casbin"]
    assert set(providers) == {"pycasbin"}


def test_importing_assent_loads_nothing_heavy() -> None:
    program = "import sys, assent; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()).isdisjoint(HEAVY_MODULES)


@pytest.mark.parametrize("script", ["run", ".ci/run"])
def test_the_scripts_can_be_executed_and_parse(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    shell = path.read_text().splitlines()[0].removeprefix("#!").split()[-1]
    subprocess.run([shell, "-n", str(path)], check=True, timeout=30)
