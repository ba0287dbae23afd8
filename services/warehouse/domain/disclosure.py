"""
What is stored of one person, row by row: for people who ask what is held of them.

Rows of theirs are told whole. Of what is about an account and names them, the part that does. Tables that are made of these say
the same again, and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.shared.errors import Rejected
from services.shared.pseudonyms import PSEUDONYM

_OWN, _NAMED = "user = '{user}'", "position(body, '{user}') > 0"
_PLACE = "topic, partition, offset, account, at"
_ANSWER = "JSONExtract(body, 'measures', 'lowest_answer', 'Nullable(Float64)')"
_SUMMARY = "JSONExtractString(body, 'summary')"
_SELECTED: Mapping[str, tuple[str, str, str]] = {
    "event_details": ("*", "event_details", _OWN),
    "events": ("*", "events", _OWN),
    "account_user_days": (
        "DISTINCT account, toDate32('1970-01-01') + day AS date, user",
        "account_user_days",
        _OWN,
    ),
    "people": ("*", "people FINAL", _OWN),
    "account_health": (
        f"{_PLACE}, JSONExtractString(body, 'lowest_user') AS lowest_user, {_ANSWER} AS lowest_answer",
        "account_health",
        _NAMED,
    ),
    "signals": (
        f"{_PLACE}, rule, transition, JSONExtractString(body, 'title') AS title, {_SUMMARY} AS summary",
        "signals",
        _NAMED,
    ),
}
"""
By table the columns, the source and the condition. Rows are taken as they stand: to leave out one that was stored twice would take
memory for all of them, or, with FINAL, all columns of all people.
"""
PERSONAL_TABLES = tuple(_SELECTED)
REPEATED = frozenset({"account_health_current", "account_health_days", "account_health_states", "signal_episodes"})
"""Tables made of the others, which name a person only as those do."""


class PersonalRows(NamedTuple):
    """The rows of one table, as JSON lines."""

    table: str
    user: str
    """Pseudonym."""
    format: str = "JSONEachRow"

    @property
    def query(self) -> str:
        """Return their SQL; all that is in it was checked."""
        columns, source, whose = _SELECTED[self.table]
        return f"SELECT {columns} FROM {source} WHERE {whose.format(user=self.user)}"  # noqa: S608  names of ours and a pseudonym

    @property
    def fewer_days_take_less(self) -> bool:
        """Return that days of a person cannot be asked for."""
        return False


def personal_rows(user: str, table: str) -> PersonalRows:
    """
    Return what a request asks for.

    Raises:
        Rejected: there is no such table, or the user is no pseudonym.
    """
    if table not in _SELECTED:
        raise Rejected("no_such_table", "table", f"there is no {table[:100]!r}; there are {', '.join(PERSONAL_TABLES)}")
    if not PSEUDONYM.fullmatch(user):
        raise Rejected("bad_parameter", "user", "give a pseudonym, such as u_Zk3vJb0yqk2XxQ5nVbLd")
    return PersonalRows(table, user)
