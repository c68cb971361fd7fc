"""The hot route answers before the framework is loaded; whatever else is asked loads it."""

import subprocess
import sys


def modules_after(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(ended.stdout.split())


def test_what_decides_loads_neither_the_framework_nor_the_log() -> None:
    loaded = modules_after("import assent.serving")
    assert loaded & {"fastapi", "structlog", "rich", "prometheus_client", "assent.api.framework"} == set()


def test_the_framework_is_loaded_by_whoever_asks_for_it() -> None:
    assert "fastapi" in modules_after("import assent.api.framework")
