"""`assent keys`: which keys a broker has, and a new one in the place of an old one; where they lie, not over HTTP."""

import json
from pathlib import Path
from typing import Annotated

import typer

from assent.cli import output
from assent.cli.output import AsJson
from assent.core.characters import visible
from assent.core.releases import KEY_NAME

Config = Annotated[Path | None, typer.Option(help="The broker's configuration; by default ./assent.toml.")]

app = output.group("See the broker's keys, and put a new one in the place of an old one, on the broker's machine.")


@app.command("list")
def list_keys(*, config: Config = None, as_json: AsJson = False) -> None:
    """Show every key by its id, since when it is there and whether it is in force; never the key itself."""
    from assent.cli import key_list

    found = key_list.keys_of(config)
    if as_json:
        print(json.dumps({"items": [key_list.as_facts(key) for key in found]}))
        return
    output.print_table(key_list.HEADINGS, [key_list.as_row(key) for key in found], empty="there is no key")


@app.command()
def rotate(
    which: Annotated[str, typer.Argument(metavar="log|grant", help="The key that is replaced.")],
    *,
    overlap: Annotated[str, typer.Option(help="How long the log's old key signs along, such as 30d.")] = "30d",
    stolen: Annotated[bool, typer.Option("--stolen", help="Somebody else has the old key: nothing overlaps.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a fresh key in the place of one that signs; a serving broker takes it up by itself, within seconds."""
    from assent.cli import key_rotation

    done = key_rotation.rotate(config, which, overlap=overlap, stolen=stolen)
    print(json.dumps(key_rotation.as_facts(done)) if as_json else "\n".join(key_rotation.as_sentences(done)))


@app.command()
def release(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where its private half goes, for its owner alone.")],
    *,
    name: Annotated[str, typer.Option(help="What it is called on record.")] = KEY_NAME,
    as_json: AsJson = False,
) -> None:
    """Make a key that vouches for policies; keep it where policies are reviewed, not where the broker runs."""
    from assent.cli import releasing

    public = releasing.make_key(file, name).encode()
    if as_json:
        print(json.dumps({"file": str(file), "public": public}))
        return
    print(f"made {visible(str(file))}; the broker's settings name its public half:")
    print(f'release_keys = ["{public}"]')
