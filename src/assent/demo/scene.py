"""What every chapter works with: the town, the broker, the people, the agent's errands, and who answers."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from assent.core.canonical import canonical
from assent.demo.actors import Broker, Errand, send
from assent.demo.answers import Answers
from assent.demo.narrator import Narrator
from assent.demo.people import SHOWN_DIGITS, Person
from assent.demo.setting import OWNER, SECOND, Setting
from assent.demo.slack_beside import SlackBeside
from assent.demo.telephone import Reply
from assent.demo.town import Town
from assent.demo.wrong import must

OK: Final = 200


@dataclass(slots=True, kw_only=True)
class Scene:
    """The stage; `url` is where everybody finds the broker, `running` ends whatever was started.

    `runs` begins the names of the agent's runs: what one run asked is found again by that run only.
    """

    setting: Setting
    narrator: Narrator
    answers: Answers
    slack: SlackBeside
    broker: Broker
    running: ExitStack
    url: str = ""
    runs: str = "demo"
    errands: dict[str, Errand] = field(default_factory=dict)

    @property
    def town(self) -> Town:
        return self.setting.town

    @property
    def ledger(self) -> Path:
        """The broker's database."""
        return self.setting.configuration.parent / "ledger.db"

    @property
    def mara(self) -> Person:
        """The owner of the agent."""
        return Person(id=OWNER, url=self.url, token=self.setting.tokens[OWNER])

    @property
    def noor(self) -> Person:
        """The second person, for whom the reader answers."""
        return Person(id=SECOND, url=self.url, token=self.setting.tokens[SECOND])

    def errand(self, name: str) -> Errand:
        """Return the agent's process for an errand, started now unless it is under way."""
        if name not in self.errands:
            started = send(name, run=f"{self.runs}-{name}", setting=self.setting, url=self.url)
            self.running.callback(started.stop)
            self.errands[name] = started
        return self.errands[name]

    def look_at(self, code: str) -> dict[str, Any]:
        """Return an approval as noor is shown it."""
        seen = self.noor.see(code)
        must(seen.status == OK, f"noor is shown the approval {code}", seen)
        must(seen.body["state"] == "pending", "the approval waits", seen.body["state"])
        return seen.body

    def answer(self, approval: dict[str, Any]) -> bool:
        """Show an approval to the reader, give the answer as noor on its card in Slack, and return it."""
        code = approval["code"]
        self.slack.card_of(code)
        self.narrator.card(_card(approval))
        self.narrator.say(f"the card is in Slack (a stand-in on this machine): {self.slack.page}")
        agreed = self.answers.decide(self.narrator, SECOND, lambda: self._decided(code))
        if self._decided(code) is None:
            pressed = self.slack.approve(SECOND, code) if agreed else self.slack.deny(SECOND, code)
            must(pressed.outcome == "acknowledged", "Slack hears that noor's answer is stored", pressed.outcome)
        expected = "approved" if agreed else "denied"
        reply = self.noor.see(code)
        must(reply.body.get("state") == expected, f"noor's answer makes the approval {expected}", reply)
        if not agreed:
            self._let_again(code, reply)
        return agreed

    def _decided(self, code: str) -> bool | None:
        state = self.noor.see(code).body.get("state")
        return None if state == "pending" else state == "approved"

    def _let_again(self, code: str, denied: Reply) -> None:
        """Lift what the denial left behind: the next chapter asks a like question."""
        must("same_again_at" in denied.body, "the same would not be asked again for a while", denied)
        reply = self.noor.let_again(code)
        must(reply.status == OK and "same_again_at" not in reply.body, "noor lets it be asked again", reply)
        self.narrator.say("nobody would be asked this again for half an hour; noor lifts that, and the story goes on")


def _card(approval: dict[str, Any]) -> list[tuple[str, str]]:
    """Return everything that a person needs in order to answer, taken from what the broker shows."""
    arguments = [f"{name} = {canonical(value).decode()}" for name, value in sorted(approval["arguments"].items())]
    return [
        (
            "approval",
            f"{approval['code']}, asked by the agent {approval['agent']}, owned by {approval['owner']}",
        ),
        ("will run", f"{approval['tool']} ({approval['impact']})"),
        *zip(["with exactly", *[""] * len(arguments)], arguments, strict=False),
        ("where", f"{approval['environment']}: {approval['resource']}"),
        ("how bad", approval["how_bad"]),
        ("undo", approval["undo"]),
        ("agent says", f"{approval['agent_says']['reason']} (unverified)"),
        ("digest", f"{approval['digest'][:SHOWN_DIGITS]}... over all of this; a yes names it"),
    ]
