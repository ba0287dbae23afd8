"""What the weekly report is made of: who changed, what opened and was resolved, what there is to do, all of it counted."""

import json
from datetime import date, timedelta
from typing import Any

import pytest

from schemas.measures import numbered
from services.console.report.contents import summary
from services.console.report.rendering import mail_html, mail_text, page
from services.console.report.week import MOST_ROWS, MOST_SIGNALS, Week, read
from services.shared.errors import Fatal
from services.shared.units import date_of
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event, example, health, signal
from tests.unit.console.report.weeks import DAY_MS, api_over, reader, two_weeks


async def test_the_week_has_who_changed_what_opened_and_what_renews(week: Week) -> None:
    assert [(each["account"], each["points"]) for each in week.changed] == [("fell", -50.0), ("rose", 25.0)]
    assert [each["account"] for each in week.signals] == ["fell"]
    assert [each["account"] for each in week.fired] == ["fell"]
    assert [(each["account"], each["resolved_reason"]) for each in week.resolved] == [("rose", "recovered")]
    assert date.fromisoformat(week.last_day) - date.fromisoformat(week.first_day) == timedelta(days=7)


async def test_one_paragraph_says_the_week(week: Week) -> None:
    assert summary(week, reader()) == (
        "3 accounts with €3K revenue. 1 is at risk (€1K). That is +1 since last week. 1 fell into a worse band. "
        "1 rose into a better one. 1 signal opened and 1 was resolved. 1 is open now, 0 critical. "
        "1 contract renews within 90 days (€1K)."
    )


async def test_critical_signals_are_all_counted_however_many_are_listed() -> None:
    store = two_weeks()
    for number in range(MOST_SIGNALS + 1):
        said = {"severity": "CRITICAL", "at": T0, "episode_started_at": T0}
        store.insert("signals", [signal(10 + number, f"a{number}", "usage_silent", 1, "FIRING", **said)])
    week = await read(api_over(store))

    assert len(week.signals) == MOST_SIGNALS
    assert f"{MOST_SIGNALS + 2} are open now, {MOST_SIGNALS + 1} critical." in summary(week, reader())


async def test_what_opened_and_what_was_resolved_is_all_counted_however_much_is_listed() -> None:
    store = two_weeks()
    for number in range(MOST_ROWS + 1):
        said = {"at": T0 - DAY_MS, "episode_started_at": T0 - DAY_MS}
        opened = signal(1_000 + 2 * number, f"a{number}", "usage_silent", 1, "FIRING", **said)
        over = signal(1_001 + 2 * number, f"a{number}", "usage_silent", 2, "RESOLVED", **said)
        store.insert("signals", [opened, over])
    week = await read(api_over(store))

    assert (len(week.fired), len(week.resolved)) == (MOST_ROWS, MOST_ROWS)
    assert f"{MOST_ROWS + 2} signals opened and {MOST_ROWS + 2} were resolved." in summary(week, reader())


async def test_a_report_that_does_not_read_all_accounts_says_so_and_sums_all_revenue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = summary(await read(api_over(two_weeks())), reader())
    monkeypatch.setattr("services.console.report.week._PAGE", 1)
    monkeypatch.setattr("services.console.report.week._MOST_PAGES", 2)
    cut = summary(await read(api_over(two_weeks())), reader())

    assert whole.startswith("3 accounts with €3K revenue.")
    assert cut.startswith("3 accounts with €3K revenue.")
    assert "cover only" not in whole
    assert cut.endswith("Changes and renewals cover only the 2 accounts with the largest revenue.")


async def test_the_closing_of_the_day_before_the_week_is_not_of_the_week() -> None:
    store = two_weeks()
    midnight = T0 - 7 * DAY_MS  # T0 is a midnight itself
    for number, at in enumerate((midnight, midnight + 1)):
        said = {"at": at, "episode_started_at": at}
        store.insert("signals", [signal(1_000 + number, f"a{number}", "usage_silent", 1, "FIRING", **said)])
    week = await read(api_over(store))

    assert [each["account"] for each in week.fired] == ["fell", "a1"]


async def test_what_nobody_needs_to_work_on_is_counted_apart_once_that_is_on_record() -> None:
    store = two_weeks()
    began = T0 - 9 * DAY_MS
    said: dict[str, Any] = {"severity": "CRITICAL", "at": began, "episode_started_at": began}
    for number, account in enumerate(("gone", "noise")):
        store.insert("signals", [signal(10 + number, account, "usage_silent", 1, "FIRING", **said)])
    lost = {"date": date_of(T0 // DAY_MS - 1).isoformat(), "reason": "price"}
    judged = {
        "episode_id": f"noise/usage_silent/{T0}",
        "rule": "usage_silent",
        "severity": "CRITICAL",
        "verdict": "not_useful",
    }
    for number, (account, name, properties) in enumerate(
        (("gone", "Account Lost", lost), ("noise", "Signal Judged", judged))
    ):
        told: dict[str, Any] = {
            "account": account,
            "name": name,
            "properties": json.dumps(properties),
            "occurred_at": T0 - DAY_MS,
        }
        store.insert("events", [event(900 + number, f"r{number}", **told)])
    now = await read(api_over(store))
    then = await read(api_over(store), at=date_of(T0 // DAY_MS - 8).isoformat())

    assert ([each["account"] for each in now.signals], now.open_total, now.open_critical) == (["fell"], 1, 0)
    assert "1 is open now, 0 critical. 2 more are of lost accounts, or were judged not useful." in summary(
        now, reader()
    )
    assert {each["account"] for each in then.signals} == {"gone", "noise", "rose"}
    assert (then.open_critical, then.set_aside) == (2, 0)


async def test_the_report_of_a_past_day_judges_as_on_that_day_however_long_ago_it_is() -> None:
    """The signal was of no use then; since then somebody has said otherwise, and 90 days have gone by."""
    store = two_weeks()
    judged = {"episode_id": f"fell/usage_decline/{T0}", "rule": "usage_decline", "severity": "WARNING"}
    for number, (verdict, at) in enumerate((("not_useful", T0 - 3_600_000), ("useful", T0 + 60 * DAY_MS))):
        told: dict[str, Any] = {"account": "fell", "name": "Signal Judged", "occurred_at": at}
        store.insert(
            "events",
            [event(900 + number, f"r{number}", properties=json.dumps({**judged, "verdict": verdict}), **told)],
        )
    store.insert("account_health", [health(999, "fell", sequence=9, at=T0 + 120 * DAY_MS)])
    then = await read(api_over(store), at=date_of(T0 // DAY_MS - 1).isoformat())

    assert (then.signals, then.set_aside) == ([], 1)


async def test_a_signal_that_has_eased_comes_last_and_asks_for_nothing() -> None:
    store = two_weeks()
    silent = [{"name": "silent_days", "value": 12.0, "usual": 7.0}]
    said: dict[str, Any] = {"severity": "CRITICAL", "evidence": silent, "title": "Nobody comes", "action": "Call today"}
    store.insert("signals", [signal(10, "steady", "usage_silent", 1, "FIRING", at=T0, episode_started_at=T0, **said)])
    facts = example("account_health/examples/red.json")["facts"]
    back = health(99, "steady", facts={**facts, "name": "Steady"}, band="GREEN", score_tenths=810, sequence=3, at=T0 + 1,
                  measures=numbered({"silent_days": 0.0}))  # fmt: skip
    store.insert("account_health", [back])
    week = await read(api_over(store))

    assert [(each["account"], each["eased"]) for each in week.signals] == [("fell", False), ("steady", True)]
    for told in (page(week, reader()), mail_html(week, reader()), mail_text(week, reader())):
        assert "Nobody comes" in told
        assert "Has eased since. Closes once that lasts." in told
        assert "Call today" not in told


async def test_an_account_that_is_lost_renews_nothing_from_the_day_of_its_loss_on() -> None:
    store = two_weeks()
    lost = json.dumps({"date": date_of(T0 // DAY_MS - 1).isoformat(), "reason": "price"})
    store.insert("events", [event(900, "r0", account="steady", name="Account Lost", properties=lost, occurred_at=T0)])
    now = await read(api_over(store))
    then = await read(api_over(store), at=date_of(T0 // DAY_MS - 8).isoformat())

    assert "renews within 90 days" not in summary(now, reader())
    assert "1 contract renews within 90 days" in summary(then, reader())


async def test_one_owners_report_has_that_owners_accounts_alone() -> None:
    week = await read(api_over(two_weeks()), owner="Nora")

    assert [each["account"] for each in week.accounts] == ["fell"]
    assert (len(week.fired), len(week.resolved)) == (1, 0)
    assert "Nora" in page(week, reader())


async def test_an_owner_without_accounts_is_told_who_has_some() -> None:
    with pytest.raises(Fatal, match=r"no account has the owner 'Norah'.*'Nora', 'Peter'"):
        await read(api_over(two_weeks()), owner="Norah")


async def test_an_empty_store_says_so() -> None:
    with pytest.raises(Fatal, match="nothing is stored yet"):
        await read(api_over(MemoryStore()))


async def test_a_past_day_is_reported_as_it_was_known_then() -> None:
    then = date_of(T0 // DAY_MS - 8).isoformat()
    week = await read(api_over(two_weeks()), at=then)

    assert (week.last_day, list(week.changed), list(week.fired)) == (then, [], [])
    assert {each["band"] for each in week.accounts} == {"GREEN", "YELLOW"}
