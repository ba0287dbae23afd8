"""Questions about signals, answered from memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from services.warehouse.domain.filters import SignalFilter, end_of
from services.warehouse.domain.ordering import after, in_order
from services.warehouse.memory.tables import IDENTITY, MemoryTables, body, first
from services.warehouse.ports import Found, Page


class MemorySignals(MemoryTables):
    """The part of the `Queries` port that is about signals."""

    def signals(self, wanted: SignalFilter) -> Page:
        """Return signals, or the open ones among the episodes: these with what is known of their accounts now."""
        rows: Iterable[Found] = self._transitions(wanted.until_day)
        if wanted.open_only:
            latest = self._latest(wanted.until_day)
            rows = [_with_facts(row, latest.get(row["account"])) for row in _open(rows)]
        chosen = [row for row in rows if _is_wanted(row, wanted)]
        following = after(wanted.order, in_order(wanted.order, chosen), wanted.after)
        return Page([{**body(row), **row.get("facts", {})} for row in following[: wanted.limit]], len(chosen))

    def open_signals(self, accounts: Sequence[str], until_day: int | None = None) -> list[Found]:
        """Return how many episodes of accounts are open."""
        chosen = set(accounts)
        count = Counter(
            (row["account"], row["category"], row["severity"])
            for row in _open(self._transitions(until_day))
            if row["account"] in chosen
        )
        return [
            {"account": account, "category": category, "severity": severity, "signals": number}
            for (account, category, severity), number in sorted(count.items())
        ]

    def transitions(self, since_ms: int, owners: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return how many signals there were after a time."""
        return Counter(
            row["transition"]
            for row in self._transitions(until_day)
            if row["at"] > since_ms and (not owners or row["owner"] in owners)
        )

    def _transitions(self, until_day: int | None) -> list[Found]:
        known = [row for row in self._in_order("signals") if until_day is None or row["at"] <= end_of(until_day)]
        return list(first(known, *IDENTITY["signals"]).values())


def _open(rows: Iterable[Found]) -> list[Found]:
    in_turn = sorted(rows, key=lambda row: row["transition_number"])
    last = {(row["account"], row["episode_id"]): row for row in in_turn}
    return [row for row in last.values() if row["transition"] != "RESOLVED"]


def _with_facts(row: Found, latest: Found | None) -> Found:
    if latest is None:
        return row
    facts = {name: latest[name] for name in ("owner", "revenue", "renewal_day")}
    return {**row, **facts, "facts": {"account_name": latest["name"], **facts}}


def _is_wanted(row: Found, wanted: SignalFilter) -> bool:
    return (
        wanted.account in ("", row["account"])
        and wanted.rule in ("", row["rule"])
        and (not wanted.categories or row["category"] in wanted.categories)
        and (not wanted.severities or row["severity"] in wanted.severities)
        and (not wanted.owners or row["owner"] in wanted.owners)
        and (not wanted.transitions or row["transition"] in wanted.transitions)
        and (wanted.since_ms is None or row["at"] > wanted.since_ms)
        and wanted.historical in (None, row["historical"])
    )
