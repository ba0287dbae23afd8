"""Questions about the health of accounts as SQL: of now from the table of the latest snapshots, of then from that of days."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.warehouse.clickhouse import states
from services.warehouse.clickhouse.asking import after, order_by
from services.warehouse.clickhouse.lines import LineQueries
from services.warehouse.clickhouse.signals import urgency
from services.warehouse.domain import changes, weeks
from services.warehouse.domain.away import facts_of
from services.warehouse.domain.filters import STAGES, AccountFilter
from services.warehouse.domain.known_accounts import LISTED
from services.warehouse.domain.ordering import BY_SIGNALS, UNJUDGED
from services.warehouse.domain.rows import FORGOTTEN
from services.warehouse.ports import Found, Page

_COLUMNS = f"{', '.join(LISTED[:-1])}, toUnixTimestamp64Milli(at) AS at_ms"

_CHANGING = ("account", "name", "owner", "revenue", "band", "score_tenths")
_NEWS = f"""(now.band != then.band OR now.band NOT IN {UNJUDGED}
    AND abs(now.score_tenths - then.score_tenths) >= {changes.LEAST_TENTHS})"""
"""As `domain.changes.is_news`."""

_OWNED = "owner IN {owners:Array(String)}"

_ORDER = {
    "account": "account",
    "name": "if(name = '', account, name)",
    "unjudged": f"toInt64(band IN {UNJUDGED})",
    "score": "score_tenths",
    "change": "score_tenths - ifNull(previous_score_tenths, score_tenths)",
    "revenue": "ifNull(revenue, 0)",
    "no_renewal": "toInt64(renewal_day IS NULL)",
    "renewal": "ifNull(renewal_day, 0)",
    "silent": "silent_days",
    "no_risk": "toInt64(risk_thousandths IS NULL)",
    "risk": "-ifNull(risk_thousandths, 0)",
    "signals": "-urgency",
    "owner": "owner",
    "stage": f"indexOf({list(STAGES)}, toString(stage))",
}


_HAS_TEXT = (
    f"({' OR '.join(f'positionCaseInsensitiveUTF8({each}, {{text:String}})' for each in ('account', 'name', 'owner'))})"
)


def _source(day: int | None, columns: Sequence[str] = LISTED) -> str:
    """Return where to read the health of all accounts from."""
    return "account_health_latest" if day is None else states.as_of(day, columns)


def _lacking(day: int | None) -> str:
    """Return which accounts do not have a measure."""
    if day is None:
        return "SELECT account FROM account_health_latest WHERE NOT mapContains(measures, {lacking:String})"
    last = f"SELECT account, max(offset) FROM account_health_days WHERE {_known(day)} GROUP BY account"
    return f"""SELECT account FROM account_health_days WHERE (account, offset) IN ({last})
        AND NOT JSONHas(body, 'measures', {{lacking:String}})"""


class HealthQueries(LineQueries):
    """The part of the `Queries` port that is about health."""

    def newest(self) -> int | None:
        """Return the log time of the latest snapshot."""
        if known := self._current():
            return known.newest
        found = self._found("SELECT max(toUnixTimestamp64Milli(at)) AS at_ms, count() AS n FROM account_health_latest")
        return found[0]["at"] if found[0]["n"] else None

    def accounts(self, wanted: AccountFilter) -> Page:
        """Return the health of accounts."""
        if wanted.until_day is None and (known := self._current()):
            without = self._found(_lacking(None), lacking=wanted.lacking) if wanted.lacking else []
            return Page(*known.page(wanted, {row["account"] for row in without}))
        renews_from, renews_until = wanted.renewal or (0, 0)
        given: dict[str, Any] = {
            "text": wanted.text,
            "bands": wanted.bands,
            "stages": wanted.stages,
            "owners": wanted.owners,
            "tenths": wanted.tenths,
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
                (wanted.tenths, f"account IN ({_in_tenths(_source(wanted.until_day))})"),
                (wanted.lacking, f"account IN ({_lacking(wanted.until_day)})"),
                (wanted.renewal, "renewal_day BETWEEN {renews_from:Int64} AND {renews_until:Int64}"),
            )
            if value
        ]
        table, columns = _source(wanted.until_day), _COLUMNS
        if wanted.sort == BY_SIGNALS:
            opened = urgency(wanted.until_day)
            table = f"(SELECT * FROM {table} AS listed LEFT JOIN {opened} AS opened USING account)"
            columns = f"{_COLUMNS}, urgency"
        source = f"{table} WHERE {' AND '.join(conditions) or 'true'}"
        beyond, place = after(wanted.order, wanted.after, _ORDER)
        given = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        rows = self._found(
            f"""SELECT {columns}, count() OVER () AS total FROM {source} AND {beyond}
            ORDER BY {order_by(wanted.order, _ORDER)} LIMIT {wanted.limit}""",
            **given,
            **place,
        )
        total = max((row.pop("total") for row in rows), default=0)
        if wanted.after is None and wanted.limit:
            return Page(rows, total)
        return Page(rows, self._found(f"SELECT count() AS n FROM {source}", **given)[0]["n"])

    def risk_tenths(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, int]:
        """Return the tenth of accounts by risk."""
        if until_day is None and (known := self._current()):
            return known.tenths(accounts)
        rows = self._found(
            f"""SELECT account, toInt64(1 + intDiv(10 * riskier, ranked)) AS tenth FROM (
                SELECT account, rank() OVER (ORDER BY risk_thousandths DESC) - 1 AS riskier, count() OVER () AS ranked
                FROM {_source(until_day, ("account", "risk_thousandths"))} WHERE risk_thousandths IS NOT NULL)
            WHERE account IN {{accounts:Array(String)}}""",
            accounts=list(accounts),
        )
        return {row["account"]: row["tenth"] for row in rows}

    def choices(self, until_day: int | None = None) -> list[Found]:
        """Return how many accounts each owner has in each stage, and their revenue."""
        if until_day is None and (known := self._current()):
            return known.choices()
        return self._found(
            f"""SELECT owner, stage, count() AS accounts, sum(ifNull(revenue, 0)) AS revenue
            FROM {_source(until_day, ("owner", "stage", "revenue"))} GROUP BY owner, stage ORDER BY owner, stage"""
        )

    def latest(self, account: str, until_day: int | None = None) -> Found | None:
        """Return the account's latest snapshot whole."""
        bodies = self._found(
            f"""SELECT reason, body FROM account_health_days WHERE account = {{account:String}} AND {_known(until_day)}
            ORDER BY offset DESC LIMIT 1""",
            account=account,
        )
        return _body(bodies[0]) if bodies and bodies[0]["reason"] != FORGOTTEN else None

    def history(self, account: str, days: int, until_day: int | None = None) -> list[Found]:
        """Return the last snapshot of each day."""
        return self._bodies(
            f"""SELECT body FROM (
                SELECT day, offset, body FROM account_health_days
                WHERE account = {{account:String}} AND NOT forgotten AND {_known(until_day)}
                ORDER BY known_day, offset DESC LIMIT 1 BY known_day)
            ORDER BY day DESC, offset DESC LIMIT 1 BY day LIMIT {days}""",
            account=account,
        )

    def away(self, accounts: Sequence[str], until_day: int | None = None) -> dict[str, Found]:
        """Return what latest snapshots say of being away."""
        if until_day is None and (known := self._current()):
            return known.away(accounts)
        (found,) = self.snapshots(accounts, (until_day,))
        return {account: facts_of(snapshot) for account, snapshot in found.items()}

    def bands(self, last_day: int, number: int, owners: Sequence[str]) -> list[Found]:
        """Return how many accounts were in each band at the end of each week, and their revenue."""
        begun = self._found("SELECT min(known_day) AS day, count() AS states FROM account_health_states")[0]
        empty = sum(end < begun["day"] for end in weeks.ends(last_day, number)) if begun["states"] else number
        if empty == number:
            return []
        return self._found(
            f"""SELECT slot + {empty} AS slot, band, count() AS accounts, sum(ifNull(revenue, 0)) AS revenue
            FROM {states.at_ends_of_weeks(last_day, number - empty)} WHERE {_OWNED if owners else "true"}
            GROUP BY slot, band ORDER BY slot, band""",
            owners=list(owners),
        )

    def changes(self, since_day: int, owners: Sequence[str], until_day: int | None = None) -> list[tuple[Found, Found]]:
        """Return the accounts that changed since the end of a day."""
        if until_day is None and (known := self._current()):
            then = self._held_then(since_day, self._states)
            return [
                (then[name], {each: row[each] for each in _CHANGING})
                for name, row in sorted(known.health.items())
                if name in then and (not owners or row["owner"] in owners) and changes.is_news(then[name], row)
            ]
        rows = self._found(
            f"""SELECT {", ".join(f"now.{name} AS {name}, then.{name} AS then_{name}" for name in _CHANGING)}
            FROM {_source(until_day, _CHANGING)} AS now
            INNER JOIN {states.as_of(since_day, _CHANGING)} AS then ON now.account = then.account
            WHERE {_NEWS} AND {f"now.{_OWNED}" if owners else "true"} ORDER BY account""",
            owners=list(owners),
        )
        return [
            ({name: row[f"then_{name}"] for name in _CHANGING}, {name: row[name] for name in _CHANGING}) for row in rows
        ]

    def _states(self, day: int) -> dict[str, Found]:
        found = self._found(f"SELECT {', '.join(_CHANGING)} FROM {states.as_of(day, _CHANGING)}")
        return {row["account"]: row for row in found}

    def snapshots(self, accounts: Sequence[str], until_days: Sequence[int | None]) -> list[dict[str, Found]]:
        """Return the latest health snapshots of accounts, whole, by account, as of each of some days."""
        if not accounts or not until_days:
            return [{} for _ in until_days]
        chosen = "account_health_days WHERE account IN {accounts:Array(String)}"
        last = " UNION ALL ".join(
            f"SELECT account, max(offset) FROM {chosen} AND {_known(day)} GROUP BY account" for day in set(until_days)
        )
        rows = self._found(
            f"""SELECT account, known_day, offset, forgotten, body FROM {chosen} AND (account, offset) IN ({last})
            ORDER BY offset LIMIT 1 BY account, offset""",
            accounts=list(accounts),
        )
        found = []
        for day in until_days:
            known = {row["account"]: row for row in rows if day is None or row["known_day"] <= day}
            found.append({account: _body(row) for account, row in known.items() if not row["forgotten"]})
        return found

    def known_measures(self) -> list[Found]:
        """Return of how many accounts each measure is known."""
        return self._found(
            """SELECT name, count() AS known, countIf(value > 0) AS positive
            FROM account_health_latest ARRAY JOIN mapKeys(measures) AS name, mapValues(measures) AS value
            GROUP BY name ORDER BY name"""
        )


def _known(day: int | None) -> str:
    return "true" if day is None else f"known_day <= {day}"


def _in_tenths(source: str) -> str:
    """Return which accounts of a source are in one of some tenths by risk."""
    return f"""SELECT account FROM (
        SELECT account, rank() OVER (ORDER BY risk_thousandths DESC) - 1 AS riskier, count() OVER () AS ranked
        FROM {source} WHERE risk_thousandths IS NOT NULL)
        WHERE 1 + intDiv(10 * riskier, ranked) IN {{tenths:Array(Int64)}}"""


def _body(row: Found) -> Found:
    body: Found = msgspec.json.decode(row["body"])
    return body
