"""Everything we send is what others take for Block Kit: slack-sdk's models, TypeScript's types, and our own limits."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from assent.demo.workspace.rules import faults_of_message, faults_of_view
from assent.slack import blocks
from tests.slack.gallery import MESSAGES, VIEWS

ROOT = Path(__file__).parents[2]
MODULES = Path(os.environ.get("ASSENT_NODE_MODULES") or ROOT / ".venv/node/node_modules")
LARGEST_CARD_BYTES = 10_000


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_what_the_client_library_takes_and_within_our_budget(name: str) -> None:
    made = MESSAGES[name]
    for block in made:
        parsed = Block.parse(dict(block))
        assert parsed is not None
        parsed.validate_json()
        assert parsed.to_dict() == block
    assert faults_of_message(list(made)) == []
    assert blocks.fits(made)
    assert len(json.dumps(made, ensure_ascii=False).encode()) <= LARGEST_CARD_BYTES


@pytest.mark.parametrize("name", VIEWS)
def test_every_dialog_and_home_tab_is_what_the_client_library_takes(name: str) -> None:
    made = VIEWS[name]
    parsed = View(**made)
    parsed.validate_json()
    assert json.loads(json.dumps(parsed.to_dict())) == made
    assert faults_of_view(made) == []


def as_typescript() -> str:
    """Return a program whose types hold exactly when everything is as Slack's own types say."""
    lines = ["import type { HomeView, KnownBlock, ModalView } from '@slack/types';"]
    kinds: list[tuple[str, Any]] = [("KnownBlock[]", list(made)) for made in MESSAGES.values()]
    kinds += [("HomeView" if made["type"] == "home" else "ModalView", made) for made in VIEWS.values()]
    lines += [f"export const m{n}: {kind} = {json.dumps(made)};" for n, (kind, made) in enumerate(kinds)]
    return "\n".join(lines)


def types_of(program: str, folder: Path) -> str:
    """Return what the compiler has against a program, nothing when it has nothing."""
    (folder / "cards.ts").write_text(program)
    (folder / "node_modules").symlink_to(MODULES)
    tsc = [str(MODULES / ".bin/tsc"), "--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "cards.ts"]
    ended = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode else ""


@pytest.mark.timeout(120)
@pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "@slack/types").exists(),
    reason="no node, or no @slack/types in .venv/node: `npm install --prefix .venv/node` as .ci/run does",
)
def test_everything_is_what_the_types_of_slack_say(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    assert types_of(as_typescript(), tmp_path / "good") == ""
    misspelt = as_typescript().replace('"action_id": "assent.approve"', '"action_ids": "assent.approve"')
    assert "action_ids" in types_of(misspelt, tmp_path / "bad"), "the compiler looks at what we send"
