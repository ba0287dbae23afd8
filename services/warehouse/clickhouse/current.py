"""
What is known of all accounts now, held in memory: a list is filtered and sorted there, and the engine is not asked at all.

So is what was known at the end of the day before, with which the first page of the console compares.

The engine alone says what is known. What is stored or erased through this store marks what it concerns, and the next question
asks for that anew before it is answered: so no answer is older than the last row that was stored here. What comes about
elsewhere (another process on the same server, rows that have become too old) is seen FRESH_S later. Of more than MOST_HELD
accounts nothing is held, and each question is one to the engine.
"""

# ruff: noqa: S608  only names and numbers of ours are put into the text

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from clickhouse_connect.driver.client import Client

from services.warehouse.clickhouse.asking import ClickHouseAsking
from services.warehouse.domain.away import FACTS
from services.warehouse.domain.filters import day_of
from services.warehouse.domain.known_accounts import LISTED, KnownAccounts
from services.warehouse.domain.rows import Row, columns
from services.warehouse.domain.weeks import WEEK, Line, state
from services.warehouse.ports import Found

MOST_HELD = 30_000
"""Accounts that are held: some 3.5 KB each, with lists in every order, lines and the day before."""
FRESH_S = 300.0
"""What is held is asked for anew after so long, whatever was stored here."""
_MOST_MARKED = 2_000
"""Accounts that are asked for one by one; where more have changed, all are read again."""
_MOST_LINES = 2
"""Ends of weeks by which lines are held: of so many days, or numbers of weeks, at a time."""
_COLUMNS = [name for name in dict.fromkeys((*LISTED, *FACTS)) if name != "at"]
_HEALTH = f"SELECT {', '.join(_COLUMNS)}, toUnixTimestamp64Milli(at) AS at_ms FROM account_health_latest"
_OPENED = (
    "SELECT account, category, severity, count() AS signals FROM signal_episodes FINAL WHERE transition != 'RESOLVED'"
)
_OF = "account IN {accounts:Array(String)}"
_COUNTED = "GROUP BY account, category, severity ORDER BY account, category, severity"


class CurrentQueries(ClickHouseAsking):
    """Holds all accounts as they are now, and lines of weeks that are over."""

    def __init__(self, readers: Sequence[Client], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(readers)
        self._clock = clock
        self._renewing = threading.Lock()
        """One thread at a time asks anew, and the others wait for what it finds."""
        self._marking = threading.Lock()
        self._marked: set[str] | None = None
        """Accounts that have changed; None: anything may have."""
        self._known: KnownAccounts | None = None
        self._read_at = 0.0
        self._lines: dict[tuple[int, int], dict[str, Line]] = {}
        """By their last day and number, lines without their last week, by account."""
        self._then: tuple[int, float, dict[str, Found]] | None = None
        """A day that is over, when it was asked for, and what was known of each account at its end."""
        self._changes = 0

    def _mark(self, table: str, rows: Sequence[Row]) -> None:
        """Have what is held of rows asked for anew: they may have been stored."""
        if table not in ("account_health", "signals") or not rows:
            return
        names = columns(table)
        account, at = names.index("account"), names.index("at")
        with self._marking:
            self._changes += 1
            if self._marked is not None:
                self._marked.update(row[account] for row in rows)
                if len(self._marked) > _MOST_MARKED:
                    self._marked = None
            if table == "account_health":
                for (last_day, _), lines in self._lines.items():
                    for row in rows:
                        if day_of(row[at]) <= last_day - WEEK:
                            lines.pop(row[account], None)
                if self._then and any(day_of(row[at]) <= self._then[0] for row in rows):
                    self._then = None

    def forget(self) -> None:
        """Let go of everything that is held: anything may have changed."""
        with self._marking:
            self._changes += 1
            self._marked = None
            self._then = None
            self._lines.clear()

    def _current(self) -> KnownAccounts | None:
        """
        Return all accounts as they are now; None: there are more than are held.

        Raises:
            Retryable: ClickHouse does not answer.
        """
        with self._renewing:
            with self._marking:
                if self._clock() - self._read_at >= FRESH_S:
                    self._marked = None
                marked, self._marked = self._marked, set()
            if marked is None or marked:
                try:
                    self._renew(marked)
                except BaseException:
                    with self._marking:
                        self._marked = None
                    raise
            return self._known

    def _renew(self, marked: set[str] | None) -> None:
        before = self._known
        if marked is None:
            self._read_at = self._clock()
            self._known = self._whole()
        elif before is not None:
            given = sorted(marked)
            health = self._found(f"{_HEALTH} WHERE {_OF}", accounts=given)
            opened = self._found(f"{_OPENED} AND {_OF} {_COUNTED}", accounts=given)
            rows = {name: row for name, row in before.health.items() if name not in marked}
            others = {name: counts for name, counts in before.opened.items() if name not in marked}
            made = KnownAccounts(rows | _by_account(health), others | _counts(opened))
            self._known = made if len(made.health) <= MOST_HELD else None

    def _whole(self) -> KnownAccounts | None:
        if self._found("SELECT count() AS n FROM account_health_latest")[0]["n"] > MOST_HELD:
            return None
        health = _by_account(self._found(f"{_HEALTH} ORDER BY account LIMIT {MOST_HELD}"))
        return KnownAccounts(health, _counts(self._found(f"{_OPENED} {_COUNTED}")))

    def _held_then(self, day: int, ask: Callable[[int], Mapping[str, Found]]) -> Mapping[str, Found]:
        """Return by account what was known at the end of a day, as `ask` says it; of the latest day that was asked for it is held."""
        with self._marking:
            held, changes = self._then, self._changes
        if held is not None and held[0] == day and self._clock() - held[1] < FRESH_S:
            return held[2]
        began, found = self._clock(), dict(ask(day))
        with self._marking:
            if changes == self._changes:  # else what was stored meanwhile may belong to that day
                self._then = day, began, found
        return found

    def _held_lines(
        self, accounts: Sequence[str], last_day: int, number: int,
        ask: Callable[[Sequence[str], int, int], Mapping[str, Line]],
    ) -> dict[str, Line]:  # fmt: skip
        """
        Return by account what was known at the ends of weeks; `ask` says it of accounts, a last day and a number of weeks.

        Where the last week ends with the day of the newest snapshot, what is known now ends a line, and the weeks before it
        are held.
        """
        known = self._current()
        if known is None or known.newest is None or day_of(known.newest) != last_day:
            return dict(ask(accounts, last_day, number))
        ends = {name: state(row["band"], row["score_tenths"]) for name in accounts if (row := known.health.get(name))}
        with self._marking:
            lines, changes = self._lines.get((last_day, number), {}), self._changes
            past = {name: lines[name] for name in ends if name in lines}
        if missing := [name for name in ends if name not in past]:
            asked, none = ask(missing, last_day - WEEK, number - 1), (None,) * (number - 1)
            new = {name: asked.get(name, none) for name in missing}
            self._hold(last_day, number, new, changes)
            past |= new
        found: dict[str, Line] = {name: (*past[name], end) for name, end in ends.items()}
        if others := [name for name in accounts if name not in ends]:
            found |= ask(others, last_day, number)
        return found

    def _hold(self, last_day: int, number: int, new: Mapping[str, Line], changes: int) -> None:
        with self._marking:
            if changes != self._changes:  # what was stored meanwhile may belong to these weeks
                return
            lines = self._lines.setdefault((last_day, number), {})
            if len(lines) + len(new) > MOST_HELD:
                lines.clear()
            lines.update(new)
            while len(self._lines) > _MOST_LINES:
                self._lines.pop(min(self._lines))


def _by_account(rows: Iterable[Found]) -> dict[str, Found]:
    return {row["account"]: row for row in rows}


def _counts(rows: Iterable[Found]) -> dict[str, list[Found]]:
    found: defaultdict[str, list[Found]] = defaultdict(list)
    for row in rows:
        found[row["account"]].append(row)
    return dict(found)
