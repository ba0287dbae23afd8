"""Questions about the health of accounts as SQL: of now from the table of the latest snapshots, of then from that of days."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.warehouse.clickhouse.asking import ClickHouseAsking, after, order_by
from services.warehouse.domain import changes
from services.warehouse.domain.filters import STAGES, AccountFilter
from services.warehouse.domain.ordering import NO_RENEWAL, NO_RISK, UNJUDGED
from services.warehouse.domain.rows import FORGOTTEN
from services.warehouse.domain.weeks import WEEK
from services.warehouse.ports import Found, Page

_NAMES = (
    "account", "name", "owner", "revenue", "seats", "renewal_day", "stage", "band", "score_tenths", "previous_score_tenths",
    "coverage", "risk_thousandths", "risk_predicts", "last_active_day", "silent_days", "sequence", "day",
)  # fmt: skip
_COLUMNS = f"{', '.join(_NAMES)}, toUnixTimestamp64Milli(at) AS at_ms"

_CHANGING = ("account", "name", "owner", "revenue", "band", "score_tenths")

_ORDER = {
    "account": "account",
    "name": "if(name = '', account, name)",
    "unjudged": f"toInt64(band IN {UNJUDGED})",
    "score": "score_tenths",
    "change": "score_tenths - ifNull(previous_score_tenths, score_tenths)",
    "revenue": "ifNull(revenue, 0)",
    "renewal": f"ifNull(renewal_day, {NO_RENEWAL})",
    "silent": "silent_days",
    "risk": f"-ifNull(risk_thousandths, {NO_RISK})",
    "owner": "owner",
    "stage": f"indexOf({list(STAGES)}, toString(stage))",
}


_HAS_TEXT = (
    f"({' OR '.join(f'positionCaseInsensitiveUTF8({each}, {{text:String}})' for each in ('account', 'name', 'owner'))})"
)


def _as_of(day: int | None) -> str:
    """Return where to read the health of all accounts from."""
    if day is None:
        return "account_health_latest"
    known = f"""SELECT reason, at, offset, {", ".join(_NAMES)} FROM account_health_days
        WHERE (account, offset) IN ({_last(f"known_day <= {day}")}) LIMIT 1 BY account"""
    return f"(SELECT * FROM ({known}) WHERE reason != '{FORGOTTEN}')"


def _last(condition: str) -> str:
    """Return where the last snapshots of accounts are; numbers alone are compared, and rows read whole only there."""
    return f"SELECT account, max(offset) FROM account_health_days WHERE {condition} GROUP BY account"


def _lacking(day: int | None) -> str:
    """Return which accounts do not have a measure."""
    known = "true" if day is None else f"known_day <= {day}"
    return f"""SELECT account FROM account_health_days WHERE (account, offset) IN ({_last(known)})
        AND NOT JSONHas(body, 'measures', {{lacking:String}})"""


class HealthQueries(ClickHouseAsking):
    """The part of the `Queries` port that is about health."""

    def newest(self) -> int | None:
        """Return the log time of the latest snapshot."""
        found = self._found("SELECT max(toUnixTimestamp64Milli(at)) AS at_ms, count() AS n FROM account_health_latest")
        return found[0]["at"] if found[0]["n"] else None

    def accounts(self, wanted: AccountFilter) -> Page:
        """Return the health of accounts."""
        renews_from, renews_until = wanted.renewal or (0, 0)
        given: dict[str, object] = {
            "text": wanted.text,
            "bands": wanted.bands,
            "stages": wanted.stages,
            "owners": wanted.owners,
            "lacking": wanted.lacking,
            "renews_from": renews_from,
            "renews_until": renews_until,
        }
        conditions = [
            sql
            for value, sql in (
                (
                    wanted.text,
                    _HAS_TEXT,
                ),
                (wanted.bands, "band IN {bands:Array(String)}"),
                (wanted.stages, "stage IN {stages:Array(String)}"),
                (wanted.owners, "owner IN {owners:Array(String)}"),
                (wanted.lacking, f"account IN ({_lacking(wanted.until_day)})"),
                (wanted.renewal, "renewal_day BETWEEN {renews_from:Int64} AND {renews_until:Int64}"),
            )
            if value
        ]
        source = f"{_as_of(wanted.until_day)} WHERE {' AND '.join(conditions) or 'true'}"
        beyond, place = after(wanted.order, wanted.after, _ORDER)
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        rows = self._found(
            f"SELECT {_COLUMNS} FROM {source} AND {beyond} ORDER BY {order_by(wanted.order, _ORDER)} LIMIT {wanted.limit}",
            **given,
            **place,
        )
        if wanted.after is None and len(rows) < wanted.limit:
            return Page(rows, len(rows))
        return Page(rows, self._found(f"SELECT count() AS n FROM {source}", **given)[0]["n"])

    def risk_tenths(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return the tenth of accounts by risk."""
        rows = self._found(
            f"""SELECT account, toInt64(1 + intDiv(10 * riskier, ranked)) AS tenth FROM (
                SELECT account, rank() OVER (ORDER BY risk_thousandths DESC) - 1 AS riskier, count() OVER () AS ranked
                FROM {_as_of(until_day)} WHERE risk_thousandths IS NOT NULL)
            WHERE account IN {{accounts:Array(String)}}""",
            accounts=list(accounts),
        )
        return {row["account"]: row["tenth"] for row in rows}

    def choices(self, until_day: int | None = None) -> list[Found]:
        """Return how many accounts each owner has in each stage, and their revenue."""
        return self._found(
            f"""SELECT owner, stage, count() AS accounts, sum(ifNull(revenue, 0)) AS revenue FROM {_as_of(until_day)}
            GROUP BY owner, stage ORDER BY owner, stage LIMIT 10000"""
        )

    def latest(self, account: str, until_day: int | None = None) -> Found | None:
        """Return the account's latest snapshot whole."""
        known = "" if until_day is None else f"AND known_day <= {until_day}"
        bodies = self._found(
            f"""SELECT reason, body FROM account_health_days WHERE account = {{account:String}} {known}
            ORDER BY offset DESC LIMIT 1""",
            account=account,
        )
        return _body(bodies[0]) if bodies and bodies[0]["reason"] != FORGOTTEN else None

    def history(self, account: str, days: int, until_day: int | None = None) -> list[Found]:
        """Return the last snapshot of each day."""
        known = "" if until_day is None else f"AND known_day <= {until_day}"
        return self._bodies(
            f"""SELECT body FROM (
                SELECT day, offset, body FROM account_health_days
                WHERE account = {{account:String}} AND NOT forgotten {known}
                ORDER BY known_day, offset DESC LIMIT 1 BY known_day)
            ORDER BY day DESC, offset DESC LIMIT 1 BY day LIMIT {days}""",
            account=account,
        )

    def weekly(self, accounts: Sequence[str], last_day: int, weeks: int) -> list[Found]:
        """Return the last that became known in each week."""
        if not accounts or not weeks:
            return []
        return self._found(
            f"""SELECT account, {_slot(last_day, weeks)} AS slot, argMax(reason, offset) AS reason,
                argMax(band, offset) AS band, argMax(score_tenths, offset) AS score_tenths
            FROM account_health_days WHERE account IN {{accounts:Array(String)}} AND known_day <= {last_day}
            GROUP BY account, slot""",
            accounts=list(accounts),
        )

    def bands(self, last_day: int, weeks: int, owners: Sequence[str]) -> list[Found]:
        """Return how many accounts were in each band at the end of each week, and their revenue."""
        if not weeks:
            return []
        owner, owned = "", ""
        if owners:
            owner, owned = ", argMax(owner IN {owners:Array(String)}, offset) AS owned", "AND state.4"
        return self._found(
            f"""SELECT slot, state.2 AS band, count() AS accounts, sum(state.3) AS revenue FROM (
                SELECT account, arrayJoin(range({weeks})) AS slot,
                    states[arrayLastIndex(each -> each.1 <= slot, states)].2 AS state
                FROM (
                    SELECT account, arraySort(each -> each.1, groupArray(
                        (week, (known, band, ifNull(revenue, 0){", owned" if owners else ""})))) AS states
                    FROM (
                        SELECT account, {_slot(last_day, weeks)} AS week, argMax(NOT forgotten, offset) AS known,
                            argMax(band, offset) AS band, argMax(tuple(revenue), offset).1 AS revenue{owner}
                        FROM account_health_days WHERE known_day <= {last_day} GROUP BY account, week)
                    GROUP BY account))
            WHERE state.1 {owned} GROUP BY slot, band ORDER BY slot, band""",
            owners=list(owners),
        )

    def changes(self, since_day: int, owners: Sequence[str], until_day: int | None = None) -> list[tuple[Found, Found]]:
        """Return the accounts that changed since the end of a day."""
        states = []
        for known in (f"known_day <= {since_day}", "true" if until_day is None else f"known_day <= {until_day}"):
            rows = self._found(
                f"""SELECT {", ".join(_CHANGING)} FROM account_health_days
                WHERE (account, offset) IN ({_last(known)}) AND NOT forgotten LIMIT 1 BY account"""
            )
            states.append({row["account"]: row for row in rows})
        then, now = states
        return [
            (then[name], row)
            for name, row in sorted(now.items())
            if name in then and (not owners or row["owner"] in owners) and changes.is_news(then[name], row)
        ]

    def snapshots(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, Found]:
        """Return the latest health snapshots of accounts, whole, by account."""
        if not accounts:
            return {}
        known = "true" if until_day is None else f"known_day <= {until_day}"
        rows = self._found(
            f"""SELECT account, body FROM account_health_days WHERE account IN {{accounts:Array(String)}}
            AND (account, offset) IN ({_last(f"account IN {{accounts:Array(String)}} AND {known}")}) AND NOT forgotten""",
            accounts=list(accounts),
        )
        return {row["account"]: _body(row) for row in rows}

    def known_measures(self) -> list[Found]:
        """Return of how many accounts each measure is known."""
        return self._found(
            """SELECT measure.1 AS name, count() AS known, countIf(measure.2 > 0) AS positive FROM (
                SELECT arrayJoin(JSONExtractKeysAndValues(body, 'measures', 'Float64')) AS measure FROM (
                    SELECT account, body FROM account_health
                    WHERE (account, topic, partition, offset) IN
                        (SELECT account, topic, partition, offset FROM account_health_latest)
                    LIMIT 1 BY account
                )
            ) GROUP BY name ORDER BY name"""
        )


def _slot(last_day: int, weeks: int) -> str:
    return f"greatest(0, {weeks - 1} - intDiv({last_day} - known_day, {WEEK}))"


def _body(row: Found) -> Found:
    body: Found = msgspec.json.decode(row["body"])
    return body
