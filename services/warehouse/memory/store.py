"""The store in memory: for tests and try-outs. It forgets everything at its end, and keeps the same contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from schemas.topics import USAGE_EVENTS
from services.shared.tracking_plan.contacts import CONTACT, contact_of
from services.shared.tracking_plan.judgements import JUDGEMENT, judgement_of
from services.shared.tracking_plan.losses import LOSS, loss_of
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.domain.filters import EventFilter, PeopleFilter
from services.warehouse.domain.ordering import EVENTS, after, in_order
from services.warehouse.domain.presence import RECENT_DAYS
from services.warehouse.memory.erasing import MemoryErasing
from services.warehouse.memory.health import MemoryHealth
from services.warehouse.memory.tables import IDENTITY, first
from services.warehouse.ports import (
    JUDGEMENT_TOLD,
    MOST_ARRIVALS,
    MOST_LOSSES,
    MOST_RECORDED,
    Days,
    Found,
    LatestRecords,
    Page,
)

_SENT = ("event_id", "source", "environment", "account", "user")
_DETAILS_COLUMNS = (*_SENT, "user_id", "anonymous_id", "occurred_at", "received_at", "properties", "extra")


class MemoryStore(MemoryErasing, MemoryHealth):
    """Keeps the `Store` port."""

    def account_days(self, account: str, since_day: int, until_day: int | None = None) -> Days:
        """Return what happened on each day."""
        found: dict[int, list[str]] = {}
        for row in self._unique_events():
            day = row["occurred_at"] // DAY_MS
            known = since_day <= day and (until_day is None or day <= until_day)
            if row["account"] == account and _is_use(row) and known:
                found.setdefault(day, []).append(row["user"] if _is_person(row) else "")
        rows = [
            {"day": day, "events": len(found[day]), "active_users": len(set(found[day]) - {""})}
            for day in sorted(found, reverse=True)
        ]
        return Days(rows, exact=True)

    def events(self, wanted: EventFilter) -> Page:
        """Return unique events."""
        rows = [
            {name: value for name, value in row.items() if name != "appended_at"}
            for row in self._unique_events()
            if row["account"] == wanted.account
            and (not wanted.names or row["name"] in wanted.names)
            and (not wanted.kinds or row["kind"] in wanted.kinds)
            and (wanted.before is None or row["occurred_at"] < wanted.before)
        ]
        following = after(wanted.order, in_order(wanted.order, rows), wanted.after)
        return Page(following[: wanted.limit], len(rows))

    def account_people(self, wanted: PeopleFilter) -> Page:
        """Return who was active in production."""
        days: dict[str, set[int]] = {}
        for row in self._in_order("events"):
            day = row["occurred_at"] // DAY_MS
            if (
                row["account"] == wanted.account
                and row["user"]
                and _is_person(row)
                and _is_use(row)
                and wanted.until_day - wanted.days < day <= wanted.until_day
            ):
                days.setdefault(row["user"], set()).add(day)
        people = [
            {
                "user": user,
                "first_active_day": min(active),
                "last_active_day": max(active),
                "active_days": len(active),
                "active_days_28": sum(day > wanted.until_day - RECENT_DAYS for day in active),
            }
            for user, active in days.items()
        ]
        following = after(wanted.order, in_order(wanted.order, people), wanted.after)
        return Page(following[: wanted.limit], len(people))

    def arrivals(self, since_ms: int) -> list[Found]:
        """Return what was received, by the hour."""
        names = ("topic", "hour", "name", "source", "environment", "kind")
        count = Counter(
            (row["topic"], row["received_at"] // HOUR_MS * HOUR_MS, *(row[name] for name in names[2:]))
            for row in self._in_order("events")
            if row["received_at"] // HOUR_MS * HOUR_MS >= since_ms
        )
        found = [{**dict(zip(names, key, strict=True)), "events": number} for key, number in count.items()]
        found.sort(key=lambda each: (-each["hour"], -each["events"], *(each[n] for n in names if n != "hour")))
        return found[:MOST_ARRIVALS]

    def past(self) -> Iterator[Found]:
        """Yield all that the scorer takes."""
        rows = [row for row in self._unique_events() if row["topic"] == USAGE_EVENTS and _scores(row)]
        yield from sorted(rows, key=lambda row: (row["account"], row["occurred_at"], row["partition"], row["offset"]))

    def losses(self) -> LatestRecords:
        """Return of each account the latest record of a loss that names a day, or its latest where none does."""
        ordered = self._recorded(LOSS)
        named = first([row for row in ordered if loss_of(row["properties"])], "account")
        latest = in_order(EVENTS, list((first(ordered, "account") | named).values()))
        return _first([_told(row, {"properties": row["properties"]}) for row in latest], MOST_LOSSES)

    def contacts(self, since_ms: int) -> LatestRecords:
        """Return the last contact with each account since a time."""
        rows = first([row for row in self._recorded(CONTACT) if row["occurred_at"] >= since_ms], "account").values()
        return _first([_told(row, contact_of(row["properties"])._asdict()) for row in rows], MOST_RECORDED)

    def judgements(self, since_ms: int, until_ms: int | None = None) -> LatestRecords:
        """Return the last judgement of each episode since a time and before another."""
        latest: dict[tuple[str, str], Found] = {}
        for row in self._recorded(JUDGEMENT):
            during = row["occurred_at"] >= since_ms and (until_ms is None or row["occurred_at"] < until_ms)
            if during and (said := judgement_of(row["properties"])):
                told = {name: getattr(said, name) for name in JUDGEMENT_TOLD}
                latest.setdefault((row["account"], said.episode_id), _told(row, told))
        return _first(list(latest.values()), MOST_RECORDED)

    def _recorded(self, name: str) -> list[Found]:
        """Return the records of this name, latest first."""
        rows = [
            row
            for row in self._in_order("events")
            if (row["name"], row["kind"], row["topic"]) == (name, "TRACK", USAGE_EVENTS)
            and row["account"]
            and _counts(row)
        ]
        return in_order(EVENTS, rows)

    def details(self, event_ids: Sequence[str]) -> list[Found]:
        """Return what is stored beyond the events with these ids."""
        wanted = set(event_ids)
        rows = [row for row in self._in_order("event_details") if row["event_id"] in wanted]
        return [{name: row[name] for name in _DETAILS_COLUMNS} for row in first(rows, *_SENT).values()]

    def people(self, users: Sequence[str]) -> dict[str, str]:
        """Return by pseudonym the user ids of those that are known."""
        rows = self._in_order("event_details")
        return {row["user"]: row["user_id"] for row in rows if row["user_id"] and row["user"] in set(users)}

    def totals(self) -> list[Found]:
        """Return how much is stored of each topic."""
        found: dict[str, Found] = {}
        for table, identity in IDENTITY.items():
            rows = self._in_order(table)
            for topic in {row["topic"] for row in rows}:
                of_topic = [row for row in rows if row["topic"] == topic]
                unique = len(first(of_topic, *identity))
                found[topic] = {"topic": topic, "rows": len(of_topic), "unique": unique, "exact": True}
        return [found[topic] for topic in sorted(found)]

    def _unique_events(self) -> Iterable[Found]:
        return first(self._in_order("events"), *IDENTITY["events"]).values()


def _first(rows: list[Found], most: int) -> LatestRecords:
    return LatestRecords(rows[:most], len(rows))


def _is_person(row: Found) -> bool:
    return row["actor"] not in {"AGENT", "INTEGRATION"}


def _is_use(row: Found) -> bool:
    return bool(row["topic"] == USAGE_EVENTS and _counts(row) and row["use"])


def _counts(row: Found) -> bool:
    return _scores(row) and not row["internal"]


def _scores(row: Found) -> bool:
    return bool(row["environment"] == "production")


def _told(row: Found, said: Found) -> Found:
    """Return what is told of a record."""
    return {"account": row["account"], "occurred_at": row["occurred_at"], **said}
