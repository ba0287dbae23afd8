"""Questions about signals as SQL: places are found in narrow columns, and only those of the page are read whole."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from services.warehouse.clickhouse import states
from services.warehouse.clickhouse.asking import after, order_by
from services.warehouse.clickhouse.current import CurrentQueries
from services.warehouse.domain import ordering
from services.warehouse.domain.filters import SEVERITIES, SignalFilter, end_of
from services.warehouse.domain.ordering import NO_RENEWAL
from services.warehouse.ports import Found, Page

_ORDER = {
    "at": "toUnixTimestamp64Milli(at)",
    "account": "account",
    "signal_id": "signal_id",
    "category": "toInt64(category != 'RISK')",
    "severity": "toInt64(indexOf(['CRITICAL', 'WARNING', 'INFO', toString(severity)], toString(severity)) - 1)",
    "revenue": "ifNull(revenue, 0)",
    "renewal": f"ifNull(renewal_day, {NO_RENEWAL})",
}
_NARROW = """topic, partition, offset, signal_id, episode_id, account, rule, category, severity, transition, transition_number, at,
    historical, owner, revenue, renewal_day"""
_FACTS = ("owner", "revenue", "renewal_day")
_LATEST = ("account", "name", *_FACTS)
_HAS_BODY = "(account, topic, partition, offset) IN (SELECT account, topic, partition, offset FROM signals)"
"""Asked for only where bodies are missing: retention takes the rows of one table hours before those of the other."""


def _transitions(conditions: Sequence[str], until_day: int | None) -> str:
    """Return each transition once, the first on the log, of those that fulfil what is the same for all copies of one."""
    where = " AND ".join((*conditions, *_until(until_day))) or "true"
    return f"""(SELECT {_NARROW} FROM signals WHERE {where}
        ORDER BY account, topic, partition, offset LIMIT 1 BY account, signal_id)"""


def _open_episodes(conditions: Sequence[str], until_day: int | None) -> str:
    """Return the last transition of each episode that was not resolved; a repeated one is there once, the first on the log."""
    if until_day is None:
        where = " AND ".join((*conditions, "transition != 'RESOLVED'"))
        return f"(SELECT {_NARROW} FROM signal_episodes FINAL WHERE {where})"
    where = " AND ".join((*conditions, *_until(until_day)))
    last = f"""SELECT account, episode_id, max(transition_number) FROM signals WHERE {where}
        GROUP BY account, episode_id HAVING argMax(transition != 'RESOLVED', transition_number)"""
    return f"""(SELECT {_NARROW} FROM signals WHERE {where} AND (account, episode_id, transition_number) IN ({last})
        ORDER BY account, topic, partition, offset LIMIT 1 BY account, episode_id)"""


def _with_facts(episodes: str, until_day: int | None) -> str:
    """Return open episodes with what is known of their accounts by then; of an account that is not known, what it was."""
    latest = "account_health_latest" if until_day is None else states.as_of(until_day, _LATEST)
    kept = [f"episode.{each.strip()} AS {each.strip()}" for each in _NARROW.split(",") if each.strip() not in _FACTS]
    now = [f"if(known, latest.{each}, episode.{each}) AS {each}" for each in _FACTS]
    return f"""(SELECT {", ".join((*kept, *now))}, latest.name AS name, latest.known AS known FROM {episodes} AS episode
        LEFT JOIN (SELECT {", ".join(_LATEST)}, true AS known FROM {latest}) AS latest ON episode.account = latest.account)"""


def _until(day: int | None) -> list[str]:
    return [] if day is None else [f"toUnixTimestamp64Milli(at) <= {end_of(day)}"]


def urgency(until_day: int | None) -> str:
    """Return the `urgency` of each account with open signals, as `domain.ordering.urgency` has it."""
    counted = f"""SELECT account, category, severity, count() AS signals FROM {_open_episodes((), until_day)}
        GROUP BY account, category, severity"""
    kinds = [(category, severity) for category in ("RISK", "EXPANSION") for severity in SEVERITIES]
    weights = ", ".join(f"category = '{c}' AND severity = '{s}', {ordering.urgency(c, s, 1)}" for c, s in kinds)
    most = ordering.MOST_OPEN - 1
    return f"(SELECT account, toInt64(sum(least(signals, {most}) * multiIf({weights}, 1))) AS urgency FROM ({counted}) GROUP BY account)"


class SignalQueries(CurrentQueries):
    """The part of the `Queries` port that is about signals."""

    def signals(self, wanted: SignalFilter) -> Page:
        """Return signals, or the open ones among the episodes: these with what is known of their accounts now."""
        later = [] if wanted.since_ms is None else [f"toUnixTimestamp64Milli(at) > {wanted.since_ms}"]
        inner = ["account = {account:String}"] if wanted.account else []
        conditions = [
            sql
            for value, sql in (
                (wanted.rule, "rule = {rule:String}"),
                (wanted.categories, "category IN {categories:Array(String)}"),
                (wanted.severities, "severity IN {severities:Array(String)}"),
                (wanted.owners, "owner IN {owners:Array(String)}"),
                (wanted.transitions, "transition IN {transitions:Array(String)}"),
                (wanted.historical is not None, f"historical = {str(bool(wanted.historical)).lower()}"),
            )
            if value
        ]
        if wanted.open_only:  # what is open is told by the last transition of all
            found_in = _with_facts(_open_episodes(inner, wanted.until_day), wanted.until_day)
            conditions += later
        else:
            found_in = _transitions([*inner, *later], wanted.until_day)
        source = f"{found_in} WHERE {' AND '.join(conditions) or 'true'}"
        given = {
            "account": wanted.account,
            "rule": wanted.rule,
            "categories": list(wanted.categories),
            "severities": list(wanted.severities),
            "owners": list(wanted.owners),
            "transitions": list(wanted.transitions),
        }
        places, total = self._places(wanted, source, given)
        whole = self._whole_signals(places)
        if len(whole) < len(places):
            places, total = self._places(wanted, f"{source} AND {_HAS_BODY}", given)
            whole = self._whole_signals(places)
        return Page(whole, total)

    def _places(self, wanted: SignalFilter, source: str, given: Mapping[str, Any]) -> tuple[list[Found], int]:
        """Return where the signals of a page are, and how many there are on all pages."""
        beyond, place = after(wanted.order, wanted.after, _ORDER)
        facts = f", known, name, {', '.join(_FACTS)}" if wanted.open_only else ""
        found = self._found(
            f"""SELECT account, topic, partition, offset, count() OVER () AS total{facts} FROM {source} AND {beyond}
            ORDER BY {order_by(wanted.order, _ORDER)} LIMIT {wanted.limit}""",
            **given,
            **place,
        )
        if wanted.after is None and wanted.limit:
            return found, found[0]["total"] if found else 0
        return found, self._found(f"SELECT count() AS n FROM {source}", **given)[0]["n"]

    def _whole_signals(self, places: Sequence[Found]) -> list[Found]:
        """Return the signals at these places, in the same order, with the facts that were found there."""
        if not places:
            return []
        keys = [(each["account"], each["topic"], each["partition"], each["offset"]) for each in places]
        rows = self._found(
            """SELECT account, topic, partition, offset, body FROM signals
            WHERE account IN {accounts:Array(String)}
            AND (topic, partition, offset) IN (SELECT arrayJoin(arrayZip(
                {topics:Array(String)}, {partitions:Array(UInt32)}, {offsets:Array(UInt64)})))""",
            accounts=sorted({key[0] for key in keys}),
            topics=[key[1] for key in keys],
            partitions=[key[2] for key in keys],
            offsets=[key[3] for key in keys],
        )
        bodies = {(row["account"], row["topic"], row["partition"], row["offset"]): row["body"] for row in rows}
        return [
            {**msgspec.json.decode(bodies[key]), **_facts(each)}
            for key, each in zip(keys, places, strict=True)
            if key in bodies
        ]

    def open_signals(self, accounts: Sequence[str], until_day: int | None = None) -> list[Found]:
        """Return how many episodes of accounts are open."""
        if not accounts:
            return []
        if until_day is None and (known := self._current()):
            return known.open_signals(accounts)
        inner = ["account IN {accounts:Array(String)}"]
        return self._found(
            f"""SELECT account, category, severity, count() AS signals FROM {_open_episodes(inner, until_day)}
            GROUP BY account, category, severity ORDER BY account, category, severity""",
            accounts=list(accounts),
        )

    def transitions(self, since_ms: int, owners: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return how many signals there were after a time."""
        inner = [f"toUnixTimestamp64Milli(at) > {since_ms}"]
        owned = "owner IN {owners:Array(String)}" if owners else "true"
        found = self._found(
            f"SELECT transition, count() AS n FROM {_transitions(inner, until_day)} WHERE {owned} GROUP BY transition",
            owners=list(owners),
        )
        return {row["transition"]: row["n"] for row in found}


def _facts(place: Found) -> Found:
    if not place.get("known"):
        return {}
    return {"account_name": place["name"], **{name: place[name] for name in _FACTS}}
