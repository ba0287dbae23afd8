"""Which rows of a file the log has already, when a backfill that was cut short goes on."""

from __future__ import annotations

from services.backfill.mapping import TimedCall
from services.backfill.service import _Since

ALIASES = {"crm-17": "acme"}


def has(message_id: str, account: str) -> bool:
    since = _Since("made-", lambda named: ALIASES.get(named, named), {"made-1": {"acme"}, "given": {"acme"}})
    return since.has(TimedCall(1, {"messageId": message_id, "context": {"groupId": account} if account else {}}))


def test_an_id_that_was_made_up_says_it_whatever_the_row_calls_its_account() -> None:
    assert has("made-1", "crm-17")
    assert has("made-1", "an alias that nobody told us of")
    assert not has("made-2", "acme")


def test_a_given_id_is_compared_with_the_account_that_the_named_one_stands_for() -> None:
    assert has("given", "crm-17")
    assert has("given", "acme")
    assert has("given", "")
    assert not has("given", "globex")  # another event: an event is identified by its account too
    assert not has("other", "acme")


def test_a_group_call_is_of_the_account_that_ingest_takes_it_for() -> None:
    call = {"messageId": "given", "type": "group", "groupId": "acme", "context": {"groupId": "globex"}}

    assert _Since("made-", str, {"given": {"acme"}}).has(TimedCall(1, call))
    assert not _Since("made-", str, {"given": {"acme"}}).has(TimedCall(1, {**call, "type": "identify"}))


def test_what_a_former_run_has_sent_is_passed_behind_its_last_event_and_at_its_last_tick() -> None:
    since = _Since("made-", str, last_event_ms=90, last_tick_ms=100)

    assert not since.passed(99)
    assert since.passed(100)
    since.last_event_ms = 100  # at the moment of the tick: the file may hold more of that moment
    assert not since.passed(100)
    assert since.passed(101)


def test_where_nothing_was_sent_there_is_nothing_to_pass() -> None:
    assert _Since("made-", str).passed(0)
