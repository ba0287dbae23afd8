"""The weekly report over the store in memory: one file and one e-mail that say the week, bounded, whatever names are sent."""

import email
import email.policy
import json
import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from schemas.measures import numbered
from services.console.api_client import Api, InProcess
from services.console.report.contents import Reader, in_blocks, summary
from services.console.report.mail import message
from services.console.report.rendering import ON_PAGE, mail_html, mail_text, page
from services.console.report.week import MOST_ROWS, MOST_SIGNALS, Week, read
from services.console.words import catalogue
from services.console.words.formats import Formats
from services.shared.errors import Fatal, Rejected
from services.shared.units import date_of
from services.shared.wording import LANGUAGES
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.contract.warehouse.stored import T0, event, example, health, signal
from tests.support.console import HOSTILE, filled

DAY_MS = 86_400_000
GMAIL_SHOWS = 102_000


class Parsed(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def api_over(store: MemoryStore) -> Api:
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()), clock=lambda: T0 / 1000 + 60)
    return Api(InProcess(app))


def reader(language: str = "en", link: str = "") -> Reader:
    words = catalogue(language)
    return Reader(words, Formats(words.locale, "EUR"), link)


def two_weeks() -> MemoryStore:
    """Return accounts of which one fell, one rose, one is steady, and one renews soon."""
    store = MemoryStore()
    facts = example("account_health/examples/red.json")["facts"]
    day = T0 // DAY_MS
    told = [
        ("fell", "GREEN", 800, "RED", 300),
        ("rose", "YELLOW", 600, "GREEN", 850),
        ("steady", "GREEN", 800, "GREEN", 810),
    ]
    offset = 0
    for name, band, tenths, new_band, new_tenths in told:
        own = {**facts, "name": name.title(), "revenue": 1_000.0, "owner": "Nora" if name == "fell" else "Peter"}
        own["renewal_day"] = day + 30 if name == "steady" else day + 300
        for sequence, (back, its_band, its_tenths) in enumerate(((8, band, tenths), (0, new_band, new_tenths)), 1):
            made = {"facts": own, "band": its_band, "score_tenths": its_tenths, "sequence": sequence}
            made |= {"at": T0 - back * DAY_MS, "day": day - back}
            store.insert("account_health", [health(offset, name, **made)])
            offset += 1
    fired = {"account_name": "Fell", "owner": "Nora", "at": T0 - DAY_MS, "episode_started_at": T0 - DAY_MS}
    old = {"account_name": "Rose", "owner": "Peter", "at": T0 - 20 * DAY_MS, "episode_started_at": T0 - 20 * DAY_MS}
    over = {**old, "at": T0 - 2 * DAY_MS, "resolved_reason": "recovered"}
    store.insert("signals", [signal(0, "fell", "usage_decline", 1, "FIRING", **fired)])
    store.insert("signals", [signal(1, "rose", "usage_silent", 1, "FIRING", **old)])
    store.insert("signals", [signal(2, "rose", "usage_silent", 2, "RESOLVED", **over)])
    return store


@pytest.fixture
async def week() -> Week:
    return await read(api_over(two_weeks()))


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


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_needs_nothing_else_and_runs_nothing(week: Week, language: str) -> None:
    text = page(week, reader(language))
    parsed = Parsed(text)
    names = {tag for tag, _ in parsed.tags}
    policy = next(each["content"] for tag, each in parsed.tags if tag == "meta" and "http-equiv" in each)

    assert not names & {"script", "link", "img", "iframe", "form", "object", "a"}
    assert not any(name.startswith("on") or name == "style" for _, attributes in parsed.tags for name in attributes)
    assert "url(" not in text
    assert "@import" not in text
    assert policy is not None
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-\S+'; base-uri 'none'; form-action 'none'", policy)
    assert f'<html lang="{language}">' in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("made", [page, mail_html])
async def test_what_is_counted_is_said_with_its_number(week: Week, made: Any, language: str) -> None:
    said = " ".join(Parsed(made(week, reader(language))).texts)

    assert reader(language).words("portfolio.over_time_revenue", len(week.base)) in said
    assert "None" not in said


async def test_links_lead_to_the_console_that_is_named(week: Week) -> None:
    parsed = Parsed(page(week, reader(link="https://tidemark.example")))
    addresses = {each["href"] for tag, each in parsed.tags if tag == "a"}

    assert "https://tidemark.example/accounts/fell" in addresses
    assert all(each and each.startswith("https://tidemark.example/") for each in addresses)


@pytest.mark.parametrize("made", [page, mail_html])
async def test_hostile_names_are_text(made: Any) -> None:
    week = await read(api_over(filled(["acme", *HOSTILE])))
    before, after = Parsed(made(await read(api_over(filled(["acme"]))), reader())), Parsed(made(week, reader()))

    assert {tag for tag, _ in after.tags} <= {tag for tag, _ in before.tags} | {"p", "span"}
    assert not any(name.startswith("on") for _, attributes in after.tags for name in attributes)
    said = " ".join(after.texts)
    assert all(each in said for each in HOSTILE if len(each) < 60 and each.isprintable())
    assert "gnp.exe حساب" in said
    assert "\u202e" not in said
    assert "x" * 301 not in said


async def test_an_email_has_text_and_html_that_mail_programs_show(week: Week) -> None:
    made = email.message_from_bytes(
        message(
            week, reader("pt"), sender="t@tidemark.example", recipients=["Nora <nora@acme.example>", "b@acme.example"]
        ),
        policy=email.policy.default,
    )
    text, html = made.iter_parts()

    assert made.get_content_type() == "multipart/alternative"
    assert made["Subject"].startswith("Carteira, semana até")
    assert made["To"] == "Nora <nora@acme.example>, b@acme.example"
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "Fell" in text.get_content()
    names = {tag for tag, _ in Parsed(html.get_content()).tags}
    assert not names & {"svg", "script", "link", "img", "style", "form"}
    assert "bgcolor" in html.get_content()


async def test_a_subject_holds_no_second_header() -> None:
    owner = "Nora\r\nBcc: all@acme.example"
    store = MemoryStore()
    facts = example("account_health/examples/red.json")["facts"] | {"owner": owner}
    store.insert("account_health", [health(0, "acme", facts=facts, sequence=1)])
    made = email.message_from_bytes(message(await read(api_over(store), owner=owner), reader()))

    assert made["Bcc"] is None
    assert made["X-Unsent"] == "1"


@pytest.mark.parametrize("address", ["nora", "a@b\r\nBcc: c@d.example", "", "a@, b@c.example"])
async def test_what_is_no_address_is_refused_by_name(week: Week, address: str) -> None:
    if not address:
        assert message(week, reader(), recipients=[])
        return
    with pytest.raises(Rejected) as refused:
        message(week, reader(), recipients=[address])
    assert refused.value.field == "recipient"


async def test_each_account_that_is_listed_as_changed_says_why() -> None:
    store = MemoryStore()
    day, (first, *rest) = T0 // DAY_MS, example("account_health/examples/red.json")["parts"]
    for number in range(70):
        for back, tenths in ((8, 300), (7, 300), (0, 100)):
            parts = [{**first, "contribution_tenths": tenths}, *rest]
            made = {"parts": parts, "score_tenths": tenths, "at": T0 - back * DAY_MS, "day": day - back}
            store.insert("account_health", [health(10 * number + 9 - back, f"a{number}", sequence=9 - back, **made)])
    text = page(await read(api_over(store)), reader())

    reasons = re.findall(r'<td class="c-why">(.*?)</td>', text)
    assert len(reasons) == ON_PAGE.rows
    assert all("−20" in each for each in reasons)


def many(accounts: int, long: str) -> Week:
    """Return a week in which everything happened to every one of many accounts."""
    weeks = [{"day": f"2026-01-{day:02}", "score": 20.0 + day, "band": "RED"} for day in range(1, 14)]
    common = {"name": long, "account_name": long, "owner": long, "revenue": 1_000.0, "renewal_date": "2026-02-01"}
    of_all = [
        {**common, "account": f"{number}{long}", "band": "RED", "score": 20.0, "weeks": weeks}
        for number in range(accounts)
    ]
    part = {"name": "level_4w", "label": long, "change": -4.0}
    changed = [{**each, "before": weeks[0], "now": weeks[1], "points": -5.0, "why": [part] * 5} for each in of_all]
    signals = [
        {
            **each, "category": "RISK", "severity": "CRITICAL", "rule": "own", "title": long, "summary": long * 5,
            "action": long * 5, "evidence": [], "eased": False, "at": "2026-01-12T00:00:00Z", "resolved_reason": long,
            "episode_started_at": "2026-01-02T00:00:00Z",
        }
        for each in of_all
    ]  # fmt: skip
    base = [{"day": each["day"], "bands": {"RED": {"accounts": accounts, "revenue": 1e6}}} for each in weeks]
    return Week(
        owner="", as_of="2026-01-13T12:00:00Z", first_day="2026-01-06", last_day="2026-01-13", base=base,
        accounts=of_all, total=accounts, changed=changed, signals=signals, open_total=accounts, open_critical=0, set_aside=accounts, fired=signals[:MOST_ROWS],
        fired_total=accounts, resolved=signals[:MOST_ROWS], resolved_total=accounts,
    )  # fmt: skip


def test_ten_thousand_accounts_leave_the_page_small_and_the_email_whole_in_gmail() -> None:
    week, one = many(10_000, "An account with a name of usual length"), reader(link="https://tidemark.example")

    assert len(page(week, one).encode()) < 400_000
    assert len(mail_html(week, one).encode()) < GMAIL_SHOWS
    assert len(mail_text(week, one)) < GMAIL_SHOWS


def test_a_list_that_is_cut_says_where_it_goes_on() -> None:
    week = many(10_000, "Company")
    path = "https://tidemark.example/portfolio?sort=signals"

    for told in (page, mail_html):
        links = [
            given.get("href")
            for tag, given in Parsed(told(week, reader(link="https://tidemark.example"))).tags
            if tag == "a"
        ]
        assert path in links
        assert not any("sort=change" in (each or "") for each in links), (
            "that is since the last snapshot, not in the week"
        )
    assert path in mail_text(week, reader(link="https://tidemark.example"))
    assert "/portfolio?" not in page(week, reader())
    theirs = replace(week, owner="No & ra")
    assert "sort=signals&amp;owner=No+%26+ra" in page(theirs, reader(link="https://tidemark.example"))


def test_the_longest_names_do_not_make_them_large() -> None:
    week, one = many(200, "<&\"'" * 2_500), reader()

    assert len(page(week, one).encode()) < 1_500_000
    assert len(mail_html(week, one).encode()) < 2 * GMAIL_SHOWS


def test_scores_are_drawn_as_characters() -> None:
    weeks = [None, *({"day": "", "score": score, "band": "RED"} for score in (0.0, 50.0, 100.0))]

    assert in_blocks(weeks) == "·▁▄█"
