"""What the report of an erasure says of topics: every one that may hold a person, and by when it has let go."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import httpx
import pytest

from schemas import released
from schemas.topics import TOPICS
from services.alerter.domain.wording import TEXTS
from services.cli.commands import erase
from services.cli.erasing import traces
from services.cli.erasing.identities import Identities, widened
from services.cli.erasing.kept import kept
from services.cli.erasing.orders import check
from services.cli.quarantine import Quarantined
from services.scorer.lane_facts import LaneFacts
from services.shared.errors import Fatal, Retryable
from services.shared.units import DAY_MS
from tests.support.attribution import AttributionLane
from tests.support.scorer import at

NOW = 20_000 * DAY_MS  # 2024-10-04


def named(*, person: bool) -> dict[str, str]:
    return {each.topic: each.until for each in kept(person=person, now_ms=NOW)}


def test_personal_data_is_gone_after_31_days_and_pseudonyms_after_407() -> None:
    days = named(person=True)

    assert days["usage-details"] == days["usage-rejected"] == "2024-11-04"
    assert days["usage-events"] == days["usage-unattributed"] == days["dead-letters"] == "2025-11-15"
    assert days["scorer-usage-events-state"] == "2024-10-12"


def test_they_are_listed_by_day() -> None:
    days = [each.until for each in kept(person=True, now_ms=NOW)]

    assert days == sorted(days)


def test_every_topic_whose_records_name_a_user_or_an_account_is_listed() -> None:
    for name, topic in TOPICS.items():
        fields = {
            field["name"]
            for carried in topic.records
            for version in carried.versions
            for field in json.loads((released.ROOT / carried.record / f"v{version}.avsc").read_text("utf-8"))["fields"]
        }
        if fields & {"user", "lowest_user"}:
            assert name in named(person=True), name
        if "account" in fields:
            assert name in named(person=False), name


def test_every_topic_of_signals_is_listed_since_any_rule_may_name_who_gave_the_lowest_answer() -> None:
    assert "lowest_user" in TEXTS

    signals = {name for name, topic in TOPICS.items() if any(each.record == "signal" for each in topic.records)}

    assert signals == {"risk-signals", "expansion-signals", "open-signals"}
    assert signals <= set(named(person=True))


def test_every_state_that_is_kept_by_account_or_user_is_listed_and_its_compaction_has_a_bound() -> None:
    for name, topic in TOPICS.items():
        if topic.cleanup == "compact" and name in {*named(person=True), *named(person=False)}:
            assert int(topic.config["max.compaction.lag.ms"]) <= 7 * DAY_MS, name
    states = {name for name, topic in TOPICS.items() if topic.encoding == "state" and not name.endswith("-ids")}
    assert states - set(named(person=True)) == {"scorer-fleet-partials-state"}  # numbers of the whole fleet


def test_nothing_is_ordered_while_a_drive_puts_live_records_off() -> None:
    with pytest.raises(Retryable, match=r"in the lanes \[1\], so nothing was ordered"):
        check({0: LaneFacts(), 1: LaneFacts(driven=True, epoch=7)}, [], [])


def test_nothing_is_ordered_of_a_person_in_a_quarantined_account() -> None:
    apart = [Quarantined("acme", 0, "closing its day raised", NOW, frozen=True)]

    with pytest.raises(Retryable, match="quarantined: acme, so nothing was ordered"):
        check({0: LaneFacts()}, apart, ["globex", "acme"])
    check({0: LaneFacts()}, apart, ["globex"])


def test_what_is_asked_before_an_erasure_is_no_part_of_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    erase._show("user kim", {"rows": {"events": 2}, "accounts": ["acme"], "linked": [], "others": []})

    said = capsys.readouterr()
    assert not said.out
    assert said.err.splitlines() == ["user kim: 2 rows in the warehouse", "  events: 2", "  in the accounts acme"]


@pytest.mark.parametrize(
    ("status", "token", "kind", "advice"),
    [
        (401, None, Fatal, "set TIDEMARK_QUERY_TOKEN to a token"),
        (401, "tmq_old", Fatal, "set TIDEMARK_QUERY_TOKEN to another token"),
        (404, None, Fatal, "set TIDEMARK_WAREHOUSE_URL to the address of the warehouse"),
        (503, None, Retryable, "ClickHouse does not answer"),
    ],
)
def test_a_warehouse_that_refuses_says_what_to_do(
    status: int, token: str | None, kind: type[Exception], advice: str
) -> None:
    refused = traces.refused(traces.QueryAccess("http://127.0.0.1:8081", token), httpx.Response(status))

    assert type(refused) is kind
    assert advice in str(refused)


JO, FORMER, BROWSER, LEE = "u_jo", "u_former", "u_anon_of_jo", "u_lee"


def attribution(*learn: Callable[[AttributionLane], None]) -> Callable[[Collection[str]], Awaitable[Identities]]:
    """Return what attribution knows once it has learned some things."""
    lane = AttributionLane()
    records: list[tuple[bytes, bytes | None]] = []
    for each in learn:
        each(lane)
        records += lane.state.take_changes()

    async def known(users: Collection[str]) -> Identities:
        found = Identities(users)
        for key, value in records:
            found.take(key, value)
        return found

    return known


def told(*pseudonyms: str, rows: int = 3, others: Sequence[str] = ()) -> dict[str, Any]:
    counts = {"events": rows} if rows else {}
    return {"pseudonyms": [*pseudonyms], "accounts": [], "rows": counts, "others": [*others], "linked": []}


async def wide(
    known: Callable[[Collection[str]], Awaitable[Identities]], user: str = JO, *, linked: bool = False, rows: int = 3
) -> dict[str, Any]:
    async def ask(pseudonym: str) -> dict[str, Any]:
        return told(pseudonym, rows=rows)

    async def name_of(pseudonym: str) -> str:
        return f"id of {pseudonym}"

    return await widened(told(user), known, ask, name_of, linked=linked)


def knows_jo(lane: AttributionLane) -> None:
    lane.link("NAMED", FORMER, "acme")
    lane.link("SAME", FORMER, known_as=JO)  # an alias call, of somebody whose events name their account themselves
    lane.link("SAME", BROWSER, known_as=JO)
    lane.member("initech", user=JO)
    lane.link("NAMED", LEE, "hooli")


async def test_a_former_id_whose_events_all_name_their_account_is_told_too() -> None:
    """No event of it goes on to the new id, so the warehouse sees none under both."""
    found = await wide(attribution(knows_jo))

    assert found["others"] == [f"id of {FORMER}"]
    assert found["pseudonyms"] == [JO]
    assert (await wide(attribution(knows_jo), user=FORMER))["others"] == [f"id of {JO}"]
    assert (await wide(attribution(knows_jo), user=LEE))["others"] == []


async def test_a_former_id_that_attribution_knows_is_erased_with_what_is_linked() -> None:
    found = await wide(attribution(knows_jo), linked=True)

    assert (found["linked"], found["others"]) == ([f"id of {FORMER}"], [])
    assert found["pseudonyms"] == [JO, FORMER]
    assert found["rows"] == {"events": 6}


async def test_an_id_that_was_erased_before_is_not_told_again() -> None:
    assert (await wide(attribution(knows_jo), rows=0))["others"] == []


async def test_attribution_forgets_browsers_though_the_details_that_tell_of_them_are_gone() -> None:
    found = await wide(attribution(knows_jo))

    assert found["forget"] == [BROWSER]
    assert BROWSER not in found["pseudonyms"]


async def test_a_browser_that_another_user_has_by_now_is_nobodys_former_id() -> None:
    def logs_in(lane: AttributionLane) -> None:
        lane.link("SAME", BROWSER, known_as=LEE, when=at(1))

    found = await wide(attribution(knows_jo, logs_in))

    assert found["forget"] == []
    assert found["others"] == [f"id of {FORMER}"]
    assert (await wide(attribution(knows_jo, logs_in), user=BROWSER))["others"] == []


async def test_accounts_are_those_of_attribution_too_since_events_may_have_expired() -> None:
    def alias(lane: AttributionLane) -> None:
        lane.aliases(initech="globex")

    assert (await wide(attribution(knows_jo)))["accounts"] == ["initech"]
    assert (await wide(attribution(knows_jo, alias)))["accounts"] == ["globex", "initech"]


async def test_who_is_forgotten_is_known_no_more() -> None:
    def forget(lane: AttributionLane) -> None:
        for each in (JO, BROWSER, FORMER):
            lane.link("FORGOTTEN", each, authority="OPERATOR")

    found = await wide(attribution(knows_jo, forget))

    assert (found["accounts"], found["forget"], found["others"]) == ([], [], [])
