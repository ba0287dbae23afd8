"""
The state of all accounts at the end of days, as SQL.

`account_health_states` has it day by day. An account that had no snapshot on a day is as it was before, and is looked up in
`account_health_days`, which goes by account: those are the sleeping ones, and those that had not begun. The time of the log
goes forwards, so what became known on a later day stands later on the log, and of one day the last on the log counts.
"""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Sequence

from services.warehouse.domain import weeks

_LOOKED_AT = 2
"""Days of which all states are read: one that is not over has those of some accounts alone, the one before it has the others'."""


def as_of(day: int, columns: Sequence[str]) -> str:
    """Return a table of what was known of each account at the end of a day, without those that were forgotten then."""
    kept = ", ".join(dict.fromkeys([*columns, "account", "offset", "forgotten"]))
    recent = f"account_health_states WHERE known_day BETWEEN {day - _LOOKED_AT + 1} AND {day}"
    known = f"SELECT account FROM {recent} GROUP BY account HAVING NOT argMax(forgotten, offset)"
    before = f"known_day <= {day - _LOOKED_AT} AND account IN ({_beside(known)})"
    return f"""(SELECT {", ".join(columns)} FROM (
            SELECT {kept} FROM (
                SELECT {kept} FROM {recent} ORDER BY offset DESC LIMIT 1 BY account
                UNION ALL
                SELECT {kept} FROM account_health_days WHERE {before} ORDER BY account, offset DESC LIMIT 1 BY account)
            ORDER BY offset DESC LIMIT 1 BY account)
        WHERE NOT forgotten)"""


def at_ends_of_weeks(last_day: int, number: int) -> str:
    """
    Return a table with `slot`, `band`, `revenue` and `owner` of each account at the end of each week: see `domain.weeks`.

    What was known before goes on until something else is.
    """
    *ends, last = weeks.ends(last_day, number)
    latest = f"SELECT {number - 1} AS slot, band, revenue, owner FROM {as_of(last, ('band', 'revenue', 'owner'))}"
    if not ends:
        return f"({latest})"
    exact = f"account_health_states FINAL WHERE known_day IN ({', '.join(map(str, ends))})"
    whole = f"SELECT account FROM {exact} AND NOT forgotten GROUP BY account HAVING count() = {len(ends)}"
    return f"""({latest}
        UNION ALL
        SELECT intDiv(known_day - {ends[0]}, {weeks.WEEK}) AS slot, band, revenue, owner
        FROM {exact} AND NOT forgotten AND account IN ({whole})
        UNION ALL
        {_carried(ends, f"account IN ({_beside(whole)})")})"""


def slot(last_day: int, number: int) -> str:
    """Return the week to which `known_day` belongs; see `domain.weeks.slot`."""
    return f"greatest(0, {number - 1} - intDiv({last_day} - known_day, {weeks.WEEK}))"


def _beside(accounts: str) -> str:
    return f"SELECT account FROM account_health_current WHERE account NOT IN ({accounts})"


def _carried(ends: Sequence[int], chosen: str) -> str:
    """Return the same, whatever days accounts have states of: all of theirs are read."""
    number = len(ends)
    return f"""SELECT slot, state.2 AS band, state.3 AS revenue, state.4 AS owner FROM (
        SELECT arrayJoin(range({number})) AS slot,
            states[arrayLastIndex(each -> each.1 <= slot, states)].2 AS state
        FROM (
            SELECT account, arraySort(each -> each.3, groupArray((week, (known, band, revenue, owner), last))) AS states
            FROM (
                SELECT account, {slot(ends[-1], number)} AS week, argMax(NOT forgotten, offset) AS known,
                    argMax(band, offset) AS band, argMax(tuple(revenue), offset).1 AS revenue, argMax(owner, offset) AS owner,
                    max(offset) AS last
                FROM account_health_days WHERE known_day <= {ends[-1]} AND {chosen} GROUP BY account, week)
            GROUP BY account))
        WHERE state.1"""
