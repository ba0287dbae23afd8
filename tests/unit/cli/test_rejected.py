"""Dead letters: which are wanted, what they have in common, what a replay does with each, and how they go together."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
from httpx import Response

from schemas import codec
from services.cli.rejected import wording
from services.cli.rejected.fates import APPENDED, Way, fate_of
from services.cli.rejected.letters import Letter, Replayed, Wanted, parse_place
from services.cli.rejected.overview import Overview
from services.cli.rejected.replaying import whole_refusal
from services.cli.rejected.runs import MOST_BYTES, MOST_LETTERS, Run, runs_of
from services.cli.rejected.tally import Plan, ReplayTally
from services.cli.rejected.times import moment
from services.shared.dead_letters import DeadLetter
from services.shared.errors import Fatal
from services.shared.replays import HEADER, Replay, RequestFacts, decode_replay
from services.shared.units import DAY_MS, HOUR_MS

NOW = 1_764_550_923_412
BATCH = RequestFacts(sent_at=NOW, actor="agent", context={"groupId": "acme"})


def letter(
    offset: int = 0,
    original: bytes = b'{"a":1}',
    facts: RequestFacts | None = BATCH,
    *,
    partition: int = 2,
    topic: str = "usage-rejected",
    at: int = NOW,
    keep: int = 1_000_000,
    **fields: Any,
) -> Letter:
    written = DeadLetter(
        **{
            "by": "ingest", "reason": "wrong_type", "field": "properties", "detail": "must be an object", "source": "web",
            "rejected_at": NOW, "original": original, "keep": keep, "request": facts.encode() if facts else "", **fields,
        }
    )  # fmt: skip
    return Letter(topic, partition, offset, at, codec.decode(written.encode())[1])


def of_lane(reason: str, origin: str = "usage-events/0/7", by: str = "scorer") -> Letter:
    return letter(topic="dead-letters", reason=reason, origin=origin, by=by, facts=None)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("30m", NOW - 30 * 60_000),
        ("2h", NOW - 2 * HOUR_MS),
        ("3d", NOW - 3 * DAY_MS),
        ("999999d", 0),
        ("2025-12-01T01:02:03Z", 1_764_550_923_000),
        ("2025-12-01T02:02:03+01:00", 1_764_550_923_000),
    ],
)
def test_a_time_is_an_age_or_a_moment(text: str, at: int) -> None:
    assert moment(text, NOW, "--since") == at


@pytest.mark.parametrize("text", ["", "2", "2w", "-2h", "yesterday", "1e9d"])
def test_what_is_no_time_names_the_option_and_what_to_give(text: str) -> None:
    with pytest.raises(Fatal, match=r"--until: .*such as 2h or 3d"):
        moment(text, NOW, "--until")


def test_a_letter_is_wanted_if_it_fits_each_filter_that_is_given() -> None:
    found = letter(account="acme", at=NOW)

    assert Wanted(NOW).takes(found)
    assert not Wanted(NOW + 1).takes(found)
    assert Wanted(0, NOW + 1).takes(found)
    assert not Wanted(0, NOW).takes(found), "until is exclusive, so two stretches never share a letter"
    assert Wanted(0, reasons=frozenset({"wrong_type", "other"}), sources=frozenset({"web"})).takes(found)
    other = frozenset({"other"})
    for filters in (Wanted(0, reasons=other), Wanted(0, sources=other), Wanted(0, by=other), Wanted(0, accounts=other)):
        assert not filters.takes(found)


@pytest.mark.parametrize("place", ["", "usage-rejected", "usage-rejected/0", "usage-events/0/1", "usage-rejected/0/x", "dead-letters/0/-1", "dead-letters/0/1/2"])  # fmt: skip
def test_what_names_no_letter_is_refused(place: str) -> None:
    with pytest.raises(Fatal, match="is no dead letter"):
        parse_place(place)


def test_what_was_replayed_is_a_bit_for_each_offset_of_the_stretch() -> None:
    replayed = Replayed({2: 1_000_000}, {2: 1_000_100})
    replayed.note(2, [3, 1_000_000, 1_000_009, 10**15])

    assert [offset for offset in range(999_990, 1_000_200) if replayed.has(letter(offset))] == [1_000_000, 1_000_009]
    assert not replayed.has(letter(1_000_000, partition=1))


def test_an_overview_counts_all_and_keeps_the_newest() -> None:
    overview = Overview(limit=2)
    for offset in (9, 1, 10, 2):
        overview.add(letter(offset, at=NOW + offset, detail=f"d{offset}"), replayed=offset == 1)
    overview.add(letter(9, at=NOW, source="app"), replayed=False)

    web, app = overview.groups
    assert (overview.total, overview.replayed) == (5, 1)
    assert (web.source, web.count, web.replayed, web.first, web.last) == ("web", 4, 1, NOW + 1, NOW + 10)
    assert (web.example, app.count) == ("properties: d10", 1)
    assert [line.place for line in overview.newest] == ["usage-rejected/2/9", "usage-rejected/2/10"]


def test_letters_of_ingest_go_through_ingest_unless_they_cannot() -> None:
    whole = letter(facts=RequestFacts(whole=True))

    assert fate_of(letter(), replayed=False).way is Way.EVENT
    assert fate_of(whole, replayed=False).way is Way.BODY
    assert "replayed before" in fate_of(letter(), replayed=True).why
    assert "was cut" in fate_of(letter(keep=3), replayed=False).why
    assert "nothing says how it was sent" in fate_of(letter(facts=None), replayed=False).why


def test_an_original_that_was_cleaned_is_shorter_and_not_cut_unless_nothing_is_left() -> None:
    cleaned = RequestFacts(cleaned=True)

    assert not letter(original=b'{"email":"ann"}', kept=b"{}", facts=cleaned).cut
    assert not letter(original=b"{}", kept=b'{"a":1.0}', facts=cleaned).cut
    assert letter(original=b"{", kept=b"", facts=cleaned).cut
    assert letter(original=b"{}", kept=b"x" * 100_000, keep=64 * 1024, facts=cleaned).cut
    assert decode_replay(Run([letter(facts=cleaned)]).call().headers[HEADER]).cleaned


def test_a_cut_record_of_a_lane_can_be_replayed_since_the_log_has_all_of_it() -> None:
    cut = letter(topic="dead-letters", reason="fold_raised", origin="usage-events/0/7", keep=1)

    assert cut.cut and fate_of(cut, replayed=False).way is Way.RECORD


def test_each_reason_of_a_lane_that_is_documented_is_replayed_or_says_why_not() -> None:
    text = (Path(__file__).parents[3] / "docs/errors.md").read_text("utf-8")
    lanes = text.partition("\n## Scorer")[2].partition("\n## Exit statuses")[0]
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", lanes, re.MULTILINE)
    reasons = {reason for row in rows for reason in re.findall(r"[a-z_]+", row)} | {"fold_raised"}
    fates = {reason: fate_of(of_lane(reason), replayed=False) for reason in reasons}

    assert reasons >= {"too_late", "cannot_be_judged", "undecodable", "bad_score"}
    assert {reason for reason, fate in fates.items() if fate.way} == reasons & APPENDED
    written_elsewhere = {reason for reason, fate in fates.items() if "ingest did not write" in fate.why}
    assert written_elsewhere == {
        "no_value", "wrong_record", "wrong_key", "wrong_time", "wrong_topic", "wrong_partition", "no_known_as"
    }  # fmt: skip


def test_records_of_other_topics_than_the_logs_of_events_are_not_appended_again() -> None:
    assert fate_of(of_lane("fold_raised", "usage-unattributed/1/2"), replayed=False).way is Way.RECORD
    assert "accounts resolve" in fate_of(of_lane("no_account", "usage-unattributed/1/2"), replayed=False).why
    assert "account-health" in fate_of(of_lane("fold_raised", "account-health/1/2", "alerter"), replayed=False).why


async def letters(found: Iterable[Letter]) -> AsyncIterator[Letter]:
    for each in found:
        yield each


async def test_letters_of_one_request_go_together_and_others_apart() -> None:
    """Whatever the order in which partitions are read."""
    found = [
        letter(1), letter(7, partition=0), letter(2), letter(8, partition=0),
        letter(4),  # something of another request, or a gap, in between
        letter(5, rejected_at=NOW + 1), letter(6, rejected_at=NOW + 1, facts=RequestFacts()),
        letter(7, source="app"), letter(8, source="app", facts=RequestFacts(kind="track")),
        letter(9, source="app", facts=RequestFacts(kind="track")),
    ]  # fmt: skip

    runs = [run async for run in runs_of(letters(found))]

    assert sorted([each.offset for each in run.letters] for run in runs) == [
        [1, 2], [4], [5], [6], [7], [7, 8], [8], [9],
    ]  # fmt: skip


def test_a_request_is_bounded_in_letters_and_bytes() -> None:
    many, large = Run([letter(0)]), Run([letter(0, b"x" * (MOST_BYTES - 10))])
    while many.add(letter(len(many.letters))):
        pass

    assert len(many.letters) == MOST_LETTERS
    assert large.add(letter(1, b"x" * 10)) and not large.add(letter(2, b"x"))


def test_a_request_says_what_the_first_one_said() -> None:
    run = Run([letter(5, b'{"a":1}')])
    run.add(letter(6, b'{"b": 2}'))
    call = run.call()

    assert call.path == "/v1/batch"
    assert call.body == b'{"batch":[{"a":1},{"b": 2}],"sentAt":"2025-12-01T01:02:03.412Z","context":{"groupId":"acme"}}'
    assert decode_replay(call.headers[HEADER]) == Replay(
        partition=2, first=5, last=6, received_at=NOW, source="web", environment="production", actor="agent"
    )
    assert call.headers.keys() == {HEADER}
    assert decode_replay(run.call(any_source=True).headers[HEADER]).source is None


def test_a_single_event_or_a_whole_body_goes_as_it_was_to_where_it_was() -> None:
    single = Run([letter(1, b'{"event":"x"}', RequestFacts(kind="track"))]).call()
    whole = Run(
        [letter(1, b"\x1f\x8b", RequestFacts(whole=True, encoding="gzip", backfill=True, historical=True), source="ü")]
    ).call()

    assert (single.path, single.body) == ("/v1/track", b'{"event":"x"}')
    assert (whole.path, whole.body) == ("/v1/batch", b"\x1f\x8b")
    assert {name: whole.headers[name] for name in whole.headers if name != HEADER} == {
        "Content-Encoding": "gzip", "Tidemark-Epoch": "0", "Tidemark-Historical": "true",
    }  # fmt: skip
    assert whole.headers[HEADER].isascii() and decode_replay(whole.headers[HEADER]).source == "ü"


def test_the_id_of_an_event_without_one_depends_on_its_letter_alone() -> None:
    """However letters are put together: a replay that is interrupted, or has other filters, makes other requests."""
    together = Replay(partition=1, first=5, last=7, received_at=NOW)
    alone = [Replay(partition=1, first=offset, last=offset, received_at=NOW) for offset in (5, 6, 7)]
    body = alone[0]

    assert [together.event_id(index) for index in range(3)] == [each.event_id(0) for each in alone]
    ids = {body.event_id(index) for index in range(3)} | {each.event_id(0) for each in alone}
    assert len(ids) == 5
    assert together.fits(3) and not together.fits(2) and body.fits(2_000)


def test_nothing_of_a_letter_reaches_the_terminal_as_a_command() -> None:
    hostile = letter(
        original=b"\x1b]0;owned\x07 \xc2\x9b31m",
        detail="\x1b[2J\nfake line",
        source="web\r",
        event_id="\x9b",
        field="\u202e",
    )
    overview = Overview(limit=1)
    overview.add(hostile, replayed=False)
    lines = [
        *wording.letter_in_words(hostile), wording.line_in_words(overview.newest[0]),
        *wording.group_in_words(overview.groups[0]),
    ]  # fmt: skip

    assert all(line.replace("\n", "").isprintable() for line in lines)
    assert "\n" not in wording.line_in_words(overview.newest[0])


@pytest.mark.parametrize(
    ("original", "form"),
    [
        (b'{"a": [1]}', "JSON"),
        (b"not json", "text"),
        (b"\xff\xfe", "base64"),
        (codec.encoder("tick")({"at": 1, "epoch": 0}), "record tick"),
        (gzip.compress(b'{"batch": []}', mtime=0), "gzip of JSON"),
        (b"\x1f\x8bbroken", "base64"),
        (b"[" * 100_000, "text"),
    ],
)
def test_an_original_is_opened_as_far_as_that_can_be_done(original: bytes, form: str) -> None:
    found, value = wording.opened(original)

    assert found == form
    json.dumps(value)


def test_a_plan_and_a_tally_say_what_happens_to_each_letter() -> None:
    plan = Plan()
    for found in (letter(), letter(facts=RequestFacts(whole=True)), letter(keep=1), of_lane("too_late")):
        plan.add(found, fate_of(found, replayed=False))
    tally = ReplayTally(letters=3, accepted=4, unattributed=1)
    tally.refuse("wrong_type", letter(7), "properties: must be an object")
    tally.refuse("wrong_type", letter(8), "other")

    assert plan.total == 2
    said = "\n".join(wording.plan_in_words(plan))
    assert "2 letters go through ingest again, 1 of them a whole body (2 of web)" in said
    assert "1 left: its original was cut" in said and "1 left: it is older" in said
    told = "\n".join(wording.tally_in_words(tally))
    assert "3 letters replayed: 4 events accepted, 1 of them without an account" in told
    assert "2 refused again, wrong_type; for example usage-rejected/2/7: properties: must be an object" in told


def test_a_refusal_of_a_proxy_is_told_as_what_it_is() -> None:
    told = whole_refusal(Response(413, json={"code": "body_too_large", "message": "too much"}), "http://ingest")

    with pytest.raises(
        Fatal, match=r"http://ingest is not ingest \(413: '<html>Too large'\): correct TIDEMARK_INGEST_URL"
    ):
        whole_refusal(Response(413, text="<html>Too large"), "http://ingest")
    assert told.code == "body_too_large"
