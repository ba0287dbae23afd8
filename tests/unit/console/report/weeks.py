"""Weeks to report on, over the store in memory."""

from prometheus_client import CollectorRegistry

from services.console.api_client import Api, InProcess
from services.console.report.contents import Reader
from services.console.report.week import MOST_ROWS, Week
from services.console.words import catalogue
from services.console.words.formats import Formats
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.contract.warehouse.stored import T0, example, health, signal

DAY_MS = 86_400_000


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
