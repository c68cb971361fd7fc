"""How much of the heart its own tests reach: `./run cover` runs tests/core and tests/flows and holds them to it.

Branch coverage of `core/` and `flows/` must be 95 % or more; the functions that decide, vote and redeem must be covered
whole, branch by branch.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LEAST_PERCENT = 95.0
WHOLE = {
    "core/decisions.py": ("decide", "answer_now", "strictest"),
    "core/approvals.py": ("vote", "why_not_vote", "why_barred", "at_console", "_counted", "_all_filled"),
    "core/passkeys.py": ("why_not_answered", "steps_back"),
    "core/grants.py": ("redeem", "_why_stopped", "why_judged_otherwise", "_matches"),
    "flows/request_action.py": ("request_action", "_decide", "_find_again"),
    "flows/resolve_approval.py": ("approve_action", "_as_heard", "_signed", "_why_one_factor", "_make_ready"),
    "flows/sign_for.py": ("check_answer", "take"),
    "flows/second_person.py": ("heard_still", "why_not_heard"),
    "flows/judge_again.py": ("judge_again", "asks_the_same", "why_in_vain"),
    "flows/run_action.py": ("_redeem", "_start"),
}


def measured(report: Path) -> dict[str, Any]:
    """Run the tests of core and flows and return coverage's JSON report."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/core", "tests/flows"]
    options = ["--cov=assent.core", "--cov=assent.flows", "--cov-branch", f"--cov-report=json:{report}"]
    subprocess.run([*command, *options], cwd=ROOT, check=True)
    loaded: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return loaded


def heart(report: dict[str, Any]) -> dict[str, Any]:
    """Return the measured files of core and flows by their path below the package."""
    named = {path.partition("src/assent/")[2]: facts for path, facts in report["files"].items()}
    return {path: facts for path, facts in named.items() if path.startswith(("core/", "flows/"))}


def percent(files: dict[str, Any]) -> float:
    """Return lines and branches reached, in percent of all."""
    summaries = [facts["summary"] for facts in files.values()]
    reached = sum(s["covered_lines"] + s["covered_branches"] for s in summaries)
    there = sum(s["num_statements"] + s["num_branches"] for s in summaries)
    return float(100 * reached / there)


def not_whole(files: dict[str, Any]) -> list[str]:
    """Return the functions that must be covered whole and are not, or are gone."""
    found = []
    for path, names in WHOLE.items():
        functions = files.get(path, {}).get("functions", {})
        for name in names:
            reached = functions.get(name, {}).get("summary", {}).get("percent_covered", 0.0)
            if reached < 100.0:
                found.append(f"{path}: `{name}` is covered to {reached:.0f} %")
    return found


def main() -> int:
    """Print what was reached; return 1 when it is too little."""
    with tempfile.TemporaryDirectory() as folder:
        files = heart(measured(Path(folder) / "coverage.json"))
    reached, missing = percent(files), not_whole(files)
    print(f"core and flows: {reached:.1f} % of lines and branches (at least {LEAST_PERCENT:.0f} %)")
    print("\n".join(missing) or f"whole: {sum(map(len, WHOLE.values()))} functions that decide, vote and redeem")
    return 1 if missing or reached < LEAST_PERCENT else 0


if __name__ == "__main__":
    raise SystemExit(main())
