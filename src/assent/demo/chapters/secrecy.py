"""What was asked lies encrypted beside the log; nothing that the broker wrote holds it in the clear."""

from typing import Final

from assent.demo.agent import HOURS
from assent.demo.scene import Scene
from assent.demo.trickster import SWAPPED, WANTED
from assent.demo.wrong import must

SAID: Final = (
    "came back broken",
    "tea became dearer",
    *(str(one["content"]).strip() for one in (HOURS, WANTED, SWAPPED)),
)


def nothing_in_the_clear(scene: Scene) -> None:
    """Look for arguments and reasons in every byte that the broker has written."""
    folder = scene.setting.configuration.parent
    written = [file for name in ("ledger.db*", "ledger.db*/**/*", "broker.log") for file in sorted(folder.glob(name))]
    written = [file for file in written if file.is_file()]
    must(len(written) > 1, "there are a ledger and a log to look at", written)
    found = [(file.name, word) for file in written for word in _spellings() if word in file.read_bytes()]
    must(not found, "no argument and no reason stands anywhere in the clear", found)
    scene.narrator.kept(
        "P9", "of the arguments and reasons of this story no byte stands in the ledger or the broker's log"
    )


def _spellings() -> list[bytes]:
    return [text.encode() for said in SAID for text in (said, said.replace("\n", "\\n"))]
