"""Looking for records: a look goes on where the last one ended, in its own direction."""

from assent.core.looking import RecordFilter


def test_a_look_goes_on_towards_older_records_or_newer_ones_and_keeps_the_rest() -> None:
    newest_first = RecordFilter(agent="bot", first=3, before=90)
    assert newest_first.going_on(40) == RecordFilter(agent="bot", first=3, before=40)
    oldest_first = RecordFilter(agent="bot", first=3, before=90, oldest_first=True)
    assert oldest_first.going_on(40) == RecordFilter(agent="bot", first=40, before=90, oldest_first=True)
