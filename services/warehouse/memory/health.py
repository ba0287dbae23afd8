"""Questions about the health of accounts, answered from memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from services.warehouse.domain import changes, weeks
from services.warehouse.domain.away import facts_of
from services.warehouse.domain.filters import AccountFilter, day_of
from services.warehouse.domain.known_accounts import KnownAccounts
from services.warehouse.domain.rows import FORGOTTEN
from services.warehouse.memory.signals import MemorySignals
from services.warehouse.memory.tables import body
from services.warehouse.ports import Found, Page

_WEEKLY = ("account", "reason", "band", "score_tenths", "revenue", "owner", "offset")


class MemoryHealth(MemorySignals):
    """The part of the `Queries` port that is about health."""

    def newest(self) -> int | None:
        """Return the log time of the latest snapshot."""
        return KnownAccounts(self._latest(), {}).newest

    def accounts(self, wanted: AccountFilter) -> Page:
        """Return the health of accounts."""
        latest = self._latest(wanted.until_day)
        without = [
            name for name, row in latest.items() if wanted.lacking and wanted.lacking not in body(row)["measures"]
        ]
        opened: defaultdict[str, list[Found]] = defaultdict(list)
        for each in self.open_signals(list(latest), wanted.until_day):
            opened[each["account"]].append(each)
        return Page(*KnownAccounts(latest, opened).page(wanted, without))

    def latest(self, account: str, until_day: int | None = None) -> Found | None:
        """Return the account's latest snapshot whole."""
        row = self._latest(until_day).get(account)
        return body(row) if row else None

    def history(self, account: str, days: int, until_day: int | None = None) -> list[Found]:
        """Return the last snapshot of each day."""
        own = [r for r in self._health(until_day) if r["account"] == account and r["reason"] != FORGOTTEN]
        known = {day_of(row["at"]): row for row in own}
        last = {row["day"]: row for _, row in sorted(known.items())}
        return [body(last[day]) for day in sorted(last, reverse=True)[:days]]

    def lines(self, accounts: Sequence[str], last_day: int, number_of_weeks: int) -> dict[str, weeks.Line]:
        """Return what was known of each account at the end of each week."""
        return weeks.lines(self._weekly(accounts, last_day, number_of_weeks), number_of_weeks)

    def away(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, Found]:
        """Return what latest snapshots say of being away."""
        (found,) = self.snapshots(accounts, (until_day,))
        return {account: facts_of(snapshot) for account, snapshot in found.items()}

    def bands(self, last_day: int, number_of_weeks: int, owners: Sequence[str]) -> list[Found]:
        """Return how many accounts were in each band at the end of each week, and their revenue."""
        states = self._weekly([row["account"] for row in self._health(last_day)], last_day, number_of_weeks)
        count: Counter[tuple[int, str]] = Counter()
        revenue: defaultdict[tuple[int, str], float] = defaultdict(float)
        for line in weeks.filled(states, number_of_weeks).values():
            for slot, state in enumerate(line):
                if state is not None and (not owners or state["owner"] in owners):
                    count[slot, state["band"]] += 1
                    revenue[slot, state["band"]] += state["revenue"] or 0.0
        return [
            {"slot": slot, "band": band, "accounts": count[slot, band], "revenue": revenue[slot, band]}
            for slot, band in sorted(count)
        ]

    def changes(self, since_day: int, owners: Sequence[str], until_day: int | None = None) -> list[tuple[Found, Found]]:
        """Return the accounts that changed since the end of a day."""
        then, now = self._latest(since_day), self._latest(until_day)
        return [
            (_changing(then[name]), _changing(row))
            for name, row in sorted(now.items())
            if name in then and (not owners or row["owner"] in owners) and changes.is_news(then[name], row)
        ]

    def known_measures(self) -> list[Found]:
        """Return of how many accounts each measure is known."""
        known: Counter[str] = Counter()
        positive: Counter[str] = Counter()
        for row in self._latest().values():
            measures = body(row)["measures"]
            known.update(measures.keys())
            positive.update(name for name, value in measures.items() if value > 0)
        return [{"name": name, "known": known[name], "positive": positive[name]} for name in sorted(known)]

    def snapshots(self, accounts: Sequence[str], until_days: Sequence[int | None]) -> list[dict[str, Found]]:
        """Return the latest health snapshots of accounts, whole, by account, as of each of some days."""
        latest = [self._latest(day) for day in until_days]
        return [{account: body(rows[account]) for account in accounts if account in rows} for rows in latest]

    def risk_tenths(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return the tenth of accounts by risk."""
        return KnownAccounts(self._latest(until_day), {}).tenths(accounts)

    def choices(self, until_day: int | None = None) -> list[Found]:
        """Return how many accounts each owner has in each stage, and their revenue."""
        return KnownAccounts(self._latest(until_day), {}).choices()

    def _weekly(self, accounts: Sequence[str], last_day: int, number_of_weeks: int) -> list[Found]:
        """Return the last that became known of each account in each week."""
        chosen, last = set(accounts), {}
        for row in self._health(last_day) if number_of_weeks else []:
            if row["account"] in chosen:
                slot = weeks.slot(day_of(row["at"]), last_day, number_of_weeks)
                last[row["account"], slot] = {
                    "slot": slot,
                    **{name: row[name] for name in _WEEKLY},
                }
        return list(last.values())


def _changing(row: Found) -> Found:
    return {name: row[name] for name in ("account", "name", "owner", "revenue", "band", "score_tenths")}
