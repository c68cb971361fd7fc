"""The quick start does what it says: every command and program in it is run as written, from an empty folder."""

import re
import tomllib

from tests.pages.reader import BREAKER, CODE, ROOT, SECONDS, Reader, address, blocks, line_of, to_run

PAGE = ROOT / "docs" / "quick-start.md"


def test_the_page_takes_a_reader_to_a_tool_that_is_guarded_stopped_and_on_record(reader: Reader) -> None:
    steps = iter(to_run(PAGE))
    install, activate, init, serve = (next(steps) for _ in range(4))
    assert "pip install" in install
    reader.types(activate)
    assert "my-broker/credentials.env" in reader.types(init)
    reader.port = address(reader, serve)

    run_starter, answer = next(steps), next(steps)
    agents, yours = run_starter.splitlines()[0], answer.splitlines()[0]
    starter = reader.folder / "my-broker" / "agent.py"
    starter.write_text(starter.read_text().replace("8420", reader.port))
    agent = reader.starts(run_starter)
    assert line_of(agent) == "wrote town/staging/hello.txt\n"
    assert 'content = "hello"' in reader.answers(answer.replace(CODE, reader.code(yours)))
    assert line_of(agent) == "wrote town/prod/hello.txt\n"
    assert agent.wait(timeout=SECONDS) == 0

    own_tool, program, run_own, answer = (next(steps) for _ in range(4))
    reader.types(own_tool)
    reader.until_tool(agents, "mail.send")
    reader.writes("newsletter.py", program)
    agent = reader.starts(f"{agents}\n{run_own}")
    assert line_of(agent) == "to colleagues: lunch is at noon\n"
    code = reader.code(yours)
    shown = reader.answers(f"{yours}\n{answer.replace(CODE, code)}")
    assert 'subject = "we are open on Saturday"' in shown
    assert line_of(agent) == "to customers: we are open on Saturday\n"
    assert agent.wait(timeout=SECONDS) == 0

    run_again, deny, trip, run_stopped, reset, declare, sign_in, tail, show, verify = steps
    agent = reader.starts(f"{agents}\n{run_again}")
    reader.types(f"{yours}\n{deny.replace(CODE, reader.code(yours))}")
    assert agent.wait(timeout=SECONDS) == 1
    reader.types(f"{yours}\n{trip}")
    assert "BreakerOpen" in reader.types(f"{agents}\n{run_stopped}", expect=1)
    breaker = reader.types(f"{yours}\nassent breakers list").split("\t", 1)[0]
    reader.types(f"{yours}\n{reset.replace(BREAKER, breaker)}")
    assert "dana.token, for you alone" in reader.types(declare)
    assert "dana  approver, operator" in reader.keeps_typing(sign_in)
    told = reader.types(f"{yours}\n{tail}")
    assert "token.issued" in told
    assert "breaker.tripped" in told
    assert "we are open on Saturday" not in told
    life = reader.types(f"{yours}\n{show.replace(CODE, code)}")
    assert [word for word in ("asked", "approved", "redeemed", "succeeded") if word not in life] == []
    assert "verified" in reader.types(f"{yours}\n{verify}")
    assert (reader.folder / "elsewhere.note").read_text().startswith("assent")


def test_every_file_that_a_broker_makes_stands_on_the_page_for_reviewers(reader: Reader) -> None:
    reader.types("assent init my-broker | cat")
    reader.port = address(reader, "assent serve --config my-broker/assent.toml")
    page = (ROOT / "docs" / "security.md").read_text()
    made = {path.name + "/" * path.is_dir() for path in (reader.folder / "my-broker").iterdir()}
    made -= {".gitignore", "agent.py"}
    known = set(re.findall(r"`([^`]+)`", page))
    assert "ledger.db" in made
    assert {name.replace("ledger.db-", "-") for name in made} - known == set()


def test_what_the_page_installs_is_an_extra_of_the_project() -> None:
    wanted = re.findall(r"assent\[(\w+)\]", to_run(PAGE)[0])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert wanted
    assert set(wanted) <= set(extras)


def test_the_readme_shows_the_function_that_the_page_runs() -> None:
    (shown,) = [block.text for block in blocks(ROOT / "README.md") if block.kind == "python"]
    assert shown in to_run(PAGE)


def test_the_readme_shows_rules_that_the_page_writes() -> None:
    (rules,) = [block.text for block in blocks(ROOT / "README.md") if block.kind == "yaml"]
    page = PAGE.read_text()
    assert [line for line in rules.splitlines() if line not in page] == []
