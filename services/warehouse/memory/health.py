"""Questions about the health of accounts, answered from memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from services.warehouse.domain import changes, weeks
from services.warehouse.domain.filters import AccountFilter, day_of
from services.warehouse.domain.ordering import BY_SIGNALS, after, in_order, urgency
from services.warehouse.domain.rows import FORGOTTEN
from services.warehouse.memory.signals import MemorySignals
from services.warehouse.memory.tables import body
from services.warehouse.ports import Found, Page

_COLUMNS = (
    "account", "name", "owner", "revenue", "seats", "renewal_day", "stage", "band", "score_tenths", "previous_score_tenths",
    "coverage", "risk_thousandths", "risk_predicts", "last_active_day", "silent_days", "sequence", "day", "at",
)  # fmt: skip

_WEEKLY = ("account", "reason", "band", "score_tenths", "revenue", "owner", "offset")


class MemoryHealth(MemorySignals):
    """The part of the `Queries` port that is about health."""

    def newest(self) -> int | None:
        """Return the log time of the latest snapshot."""
        return max((row["at"] for row in self._latest().values()), default=None)

    def accounts(self, wanted: AccountFilter) -> Page:
        """Return the health of accounts."""
        latest = self._latest(wanted.until_day)
        rows = [_listed(row) for row in latest.values() if _is_wanted(row, wanted)]
        if wanted.tenths:
            tenths = self.risk_tenths(list(latest), wanted.until_day)
            rows = [row for row in rows if tenths.get(row["account"]) in wanted.tenths]
        if wanted.sort == BY_SIGNALS:
            urgent = self._urgency([row["account"] for row in rows], wanted.until_day)
            rows = [{**row, "urgency": urgent[row["account"]]} for row in rows]
        following = after(wanted.order, in_order(wanted.order, rows), wanted.after)
        return Page(following[: wanted.limit], len(rows))

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

    def weekly(self, accounts: Sequence[str], last_day: int, number_of_weeks: int) -> list[Found]:
        """Return the last that became known in each week."""
        chosen, last = set(accounts), {}
        for row in self._health(last_day) if number_of_weeks else []:
            if row["account"] in chosen:
                slot = weeks.slot(day_of(row["at"]), last_day, number_of_weeks)
                last[row["account"], slot] = {
                    "slot": slot,
                    **{name: row[name] for name in _WEEKLY},
                }
        return list(last.values())

    def bands(self, last_day: int, number_of_weeks: int, owners: Sequence[str]) -> list[Found]:
        """Return how many accounts were in each band at the end of each week, and their revenue."""
        states = self.weekly([row["account"] for row in self._health(last_day)], last_day, number_of_weeks)
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
        known = [row for row in self._latest(until_day).values() if row["risk_thousandths"] is not None]
        risks = {row["account"]: row["risk_thousandths"] for row in known}
        ordered = sorted(risks.values(), reverse=True)
        riskier = {risk: place for place, risk in reversed(list(enumerate(ordered)))}
        chosen = set(accounts)
        return {name: 1 + 10 * riskier[risk] // len(ordered) for name, risk in risks.items() if name in chosen}

    def choices(self, until_day: int | None = None) -> list[Found]:
        """Return how many accounts each owner has in each stage, and their revenue."""
        found: dict[tuple[str, str], Found] = {}
        for row in self._latest(until_day).values():
            key = row["owner"], row["stage"]
            each = found.setdefault(key, {"owner": key[0], "stage": key[1], "accounts": 0, "revenue": 0.0})
            each["accounts"] += 1
            each["revenue"] += row["revenue"] or 0.0
        return [found[key] for key in sorted(found)]

    def _health(self, until_day: int | None = None) -> list[Found]:
        rows = self._in_order("account_health")
        return rows if until_day is None else [row for row in rows if day_of(row["at"]) <= until_day]

    def _urgency(self, accounts: Sequence[str], until_day: int | None) -> Counter[str]:
        found: Counter[str] = Counter()
        for each in self.open_signals(accounts, until_day):
            found[each["account"]] += urgency(each["category"], each["severity"], each["signals"])
        return found

    def _latest(self, until_day: int | None = None) -> dict[str, Found]:
        last = {row["account"]: row for row in self._health(until_day)}
        return {account: row for account, row in last.items() if row["reason"] != FORGOTTEN}


def _listed(row: Found) -> Found:
    return {name: row[name] for name in _COLUMNS}


def _changing(row: Found) -> Found:
    return {name: row[name] for name in ("account", "name", "owner", "revenue", "band", "score_tenths")}


def _between(day: int | None, first: int, last: int) -> bool:
    return day is not None and first <= day <= last


def _is_wanted(row: Found, wanted: AccountFilter) -> bool:
    text = wanted.text.lower()
    return (
        (not text or any(text in row[name].lower() for name in ("account", "name", "owner")))
        and (not wanted.bands or row["band"] in wanted.bands)
        and (not wanted.stages or row["stage"] in wanted.stages)
        and (not wanted.owners or row["owner"] in wanted.owners)
        and (not wanted.lacking or wanted.lacking not in body(row)["measures"])
        and (wanted.renewal is None or _between(row["renewal_day"], *wanted.renewal))
    )
