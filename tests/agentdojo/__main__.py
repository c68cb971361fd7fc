"""`python -m tests.agentdojo`: the replay by itself, in full, its counts on standard output; `./run prove agentdojo`
does the same and writes docs/proofs.md.
"""

import sys
import tempfile
from pathlib import Path

from tests.agentdojo import hammer
from tests.hammers.budget import Budget, Disproved


def main() -> None:
    """Replay and print."""
    try:
        with tempfile.TemporaryDirectory(prefix="assent-agentdojo-") as folder:
            report = hammer.run(Path(folder), Budget(seed=1, hits=hammer.FULL_PAIRS))
    except Disproved as seen:
        sys.exit(str(seen))
    for what, number in report.counts.items():
        print(f"{what}: {number}")


if __name__ == "__main__":
    main()
