"""Questions about accounts: the list, one of them whole, its past, its events, its people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from schemas.measures import MEASURES
from services.warehouse.domain import away, filters, ordering, parameters, people, presence, presentation, weeks
from services.warehouse.domain.filters import AccountFilter, EventFilter, PeopleFilter, SignalFilter
from services.warehouse.http.answers.accounts import (
    AccountAnswer,
    AccountsAnswer,
    EventsAnswer,
    HistoryAnswer,
    PeopleAnswer,
)
from services.warehouse.http.question import (
    AT,
    CURSOR,
    Asked,
    NotFound,
    Question,
    Told,
    as_of,
    days,
    in_time,
    limit,
    paged,
)
from services.warehouse.ports import Found

_HISTORY = (ordering.Key("day", int, lambda row: row["day"], descending=True),)


def account_filter(asked: Asked) -> AccountFilter:
    """Return which accounts are asked for."""
    given = asked.given
    sort, descending = given["sort"]
    renewal = None
    if given["renews_within"]:
        today = _today(asked, as_of(asked))
        renewal = today, today + given["renews_within"]
    return AccountFilter(
        given["q"],
        given["band"],
        given["stage"],
        given["owner"],
        tuple(map(int, given["risk_tenth"])),
        sort,
        descending,
        given["limit"],
        until_day=given["at"],
        lacking=given["lacking"],
        renewal=renewal,
    )


def _accounts(asked: Asked) -> Told:
    store, until = asked.store, asked.given["at"]
    wanted = account_filter(asked)
    question = replace(wanted, limit=0, renewal=None), asked.given["renews_within"]
    rows, page = paged(wanted, asked.given["cursor"], store.accounts, question)
    names = [row["account"] for row in rows]
    counts: defaultdict[str, list[Found]] = defaultdict(list)
    for count in store.open_signals(names, until):
        counts[count["account"]].append(count)
    tenths = store.risk_tenths(names, until)
    told = [presentation.account(row, counts[row["account"]], tenths.get(row["account"])) for row in rows]
    known = as_of(asked)
    if asked.given["away"] and rows:
        today = _today(asked, known)
        facts = store.away(names, until)
        for each in told:
            each["away"] = away.why(facts.get(each["account"]), today)
    if (number := asked.given["weeks"]) and known is not None:
        last_day = filters.day_of(known)
        ends = weeks.ends(last_day, number)
        lines, nothing = store.lines(names, last_day, number), [None] * number
        for each in told:
            each["weeks"] = presentation.line(ends, lines.get(each["account"], nothing))
    return {"accounts": told, **page, "as_of": in_time(known)}


def _account(asked: Asked) -> Told:
    store, name, until = asked.store, asked.path["account"], asked.given["at"]
    known = as_of(asked)
    latest = store.latest(name, until)
    activity = store.account_days(name, _today(asked, known) - asked.given["days"] + 1, until)
    past = _past(asked)
    if not past and not activity.rows:
        _must_be_known(asked)
    signals = store.signals(SignalFilter(account=name, until_day=until))
    return {
        "account": name,
        "health": presentation.health(latest) if latest else None,
        "risk_tenth": store.risk_tenths([name], until).get(name),
        **presentation.risk_chance(latest or presentation.NO_RISK),
        "history": [presentation.history_point(snapshot) for snapshot in past],
        "activity": [presentation.activity(each) for each in activity.rows],
        "activity_exact": activity.exact,
        "signals": [presentation.signal(each) for each in signals.rows],
        "signals_total": signals.total,
        "as_of": in_time(known),
    }


def _past(asked: Asked) -> list[Found]:
    """Return the snapshots of so many days, newest first: a silent account has one a week, so not so many snapshots."""
    days = asked.given["days"]
    found = asked.store.history(asked.path["account"], days, asked.given["at"])
    return [snapshot for snapshot in found if snapshot["day"] > found[0]["day"] - days]


def _history(asked: Asked) -> Told:
    name, given = asked.path["account"], asked.given
    found = _past(asked)
    if not found:
        _must_be_known(asked)
    question = (name, given["days"], given["at"])
    after = ordering.place_of(_HISTORY, question, given["cursor"]) if given["cursor"] else None
    rest = ordering.after(_HISTORY, found, after)
    rows = rest[: given["limit"]]
    following = ordering.cursor(_HISTORY, question, rows[-1]) if len(rest) > len(rows) else None
    told = [presentation.health(snapshot) for snapshot in rows]
    return {"account": name, "history": told, "total": len(found), "next": following}


def _events(asked: Asked) -> Told:
    store, given = asked.store, asked.given
    wanted = EventFilter(
        asked.path["account"], given["name"], given["before"], limit=given["limit"], kinds=given["kind"]
    )
    rows, page = paged(wanted, given["cursor"], store.events)
    if not rows:
        _must_be_known(asked)
    beyond = people.by_event(store.details([each["event_id"] for each in rows]))
    return {
        "account": wanted.account,
        "events": [presentation.event(each, people.of(each, beyond)) for each in rows],
        **page,
    }


def _people(asked: Asked) -> Told:
    store, given = asked.store, asked.given
    known = as_of(asked)
    today = _today(asked, known)
    wanted = PeopleFilter(asked.path["account"], today, given["days"], given["limit"])
    question = wanted.account, wanted.days, given["at"]
    rows, page = paged(wanted, given["cursor"], store.account_people, question)
    if not page["total"]:
        _must_be_known(asked)
    names = store.people([row["user"] for row in rows])
    told = []
    for row in rows:
        state = presence.state(row["first_active_day"], row["last_active_day"], today)
        told.append({**presentation.person(row, state), "user_id": names.get(row["user"])})
    return {"account": wanted.account, "people": told, **page, "as_of": in_time(known)}


def _today(asked: Asked, known: int | None) -> int:
    """Return the day from which days are counted back: that of the log, which a backfill may have moved away from ours."""
    return filters.day_of(known if known is not None else asked.now_ms)


def _must_be_known(asked: Asked) -> None:
    """
    Check that anything was ever stored of the account, up to the day that is asked for.

    Raises:
        NotFound: nothing was.
    """
    name, until = asked.path["account"], asked.given.get("at")
    before = None if until is None else filters.end_of(until)
    if asked.store.history(name, 1, until) or asked.store.events(EventFilter(name, before=before, limit=1)).rows:
        return
    when = "was ever" if until is None else f"until {presentation.date_of(until)} was"
    detail = f"nothing {when} stored of {name[:200]!r}; /v1/accounts?q= finds accounts by a part of their id or name"
    raise NotFound("no_such_account", "account", detail)


QUESTIONS = (
    Question(
        "/v1/accounts",
        "The latest health of accounts. Sorted by score, those in bands learning and unknown come last in both directions, as those "
        "without a risk or a renewal do when sorted by these.",
        _accounts,
        AccountsAnswer,
        (
            parameters.TextParameter("q", "Part of the id, the name or the owner, in any case.", 200),
            parameters.ChoicesParameter("band", "Bands, with commas between.", filters.BANDS),
            parameters.ChoicesParameter("stage", "Stages, with commas between.", filters.STAGES),
            parameters.TextsParameter("owner", "Owners, with commas between."),
            parameters.ChoicesParameter(
                "risk_tenth", "Tenths by risk, with commas between; 1 is the riskiest.", filters.TENTHS
            ),
            parameters.NumberParameter(
                "renews_within", "Only those whose contract renews within so many days; 0: all.", 0, 0, 3_660
            ),
            parameters.ChoiceParameter(
                "lacking", "Only those of which this measure is not known.", tuple(MEASURES), ""
            ),
            parameters.FlagParameter("away", "Say of each whether it is away: by a planned absence, or by holidays."),
            parameters.SortParameter(
                "sort", "What to sort by; a minus turns the order round.", ordering.ACCOUNT_SORTS, ("score", False)
            ),
            parameters.NumberParameter("weeks", "How many weeks of score and band to give with each.", 0, 0, 52),
            limit(),
            CURSOR,
            AT,
        ),
    ),
    Question(
        "/v1/accounts/{account:path}/history",
        "The last snapshot of each day, whole.",
        _history,
        HistoryAnswer,
        (days(90), limit(), CURSOR, AT),
        names_people=True,
    ),
    Question(
        "/v1/accounts/{account:path}/events",
        "Its events, latest first, with what is still kept beyond the long log.",
        _events,
        EventsAnswer,
        (
            parameters.TextsParameter("name", "Only events of these names, with commas between."),
            parameters.ChoicesParameter("kind", "Only events of these kinds of call.", filters.EVENT_KINDS),
            parameters.TimeParameter("before", "Only events that happened before this day or time."),
            limit(),
            CURSOR,
        ),
    ),
    Question(
        "/v1/accounts/{account:path}/people",
        "Who was active in production, latest active first.",
        _people,
        PeopleAnswer,
        (days(210), limit(), CURSOR, AT),
    ),
    Question(
        "/v1/accounts/{account:path}",
        "One account whole: health, history and activity by day, signals.",
        _account,
        AccountAnswer,
        (days(90), AT),
        names_people=True,
    ),
)
