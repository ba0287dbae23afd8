"""A week in words and shapes: what both the page and the e-mail show, with a bound on every list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from services.console.addresses import account_address
from services.console.bands import BANDS, JUDGED, RANK, amount_of
from services.console.charts.scatter import Mark
from services.console.days import days_between, log_day_text
from services.console.rendering import clipped
from services.console.report.week import Found, Week
from services.console.wording import Wording
from services.console.words.formats import Formats
from services.shared.wording import Catalogue

RENEWALS_WITHIN = 90
_NAME, _TEXT = 80, 300
_LONGEST_ID = 256
_MOST_MARKS = 2_000
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class RowLimits:
    """How many rows each list has at most."""

    signals: int
    rows: int


@dataclass(frozen=True)
class Reader:
    """How the one for whom a report is made reads it."""

    words: Catalogue
    formats: Formats
    link: str = ""
    """Address of the console, before the paths of its pages; empty: nothing is linked."""

    @property
    def wording(self) -> Wording:
        """Return how signals, bands and measures are worded."""
        return Wording(self.words, self.formats)

    def address(self, account: str) -> str:
        """Return the address of an account's page; empty where nothing is linked, or for an id that ingest would refuse."""
        return f"{self.link}{account_address(account)}" if self.link and len(account) <= _LONGEST_ID else ""


def contents(week: Week, reader: Reader, bounds: RowLimits) -> dict[str, Any]:
    """Return what the templates of a report are given."""
    sums = _Sums(week)
    made = _Rows(week, reader)
    renewals = sums.renewals
    return {
        "week": week,
        "title": title(week, reader),
        "summary": summary(week, reader),
        "tiles": [
            (band, sums.now(band), sums.change(band)) for band in BANDS if band in JUDGED or sums.now(band)["accounts"]
        ],
        "by_revenue": sums.by_revenue,
        "days": [each["day"] for each in week.base],
        "amounts": {
            band: [amount_of(each, band, "revenue" if sums.by_revenue else "accounts") for each in week.base]
            for band in ("GREEN", "YELLOW", "RED", "UNKNOWN", "LEARNING")
        },
        "latest": {band: sums.now(band) for band in BANDS},
        "marks": made.marks(),
        "signals": made.listed(week.signals, made.signal, bounds.signals),
        "changed": made.listed(week.changed, made.change, bounds.rows),
        "renewals": made.listed(renewals, made.renewal, bounds.rows),
        "fired": made.listed(week.fired, made.transition, bounds.rows),
        "resolved": made.listed(week.resolved, made.transition, bounds.rows),
        "totals": {
            "signals": week.open_total,
            "changed": len(week.changed),
            "renewals": len(renewals),
            "fired": week.fired_total,
            "resolved": week.resolved_total,
        },
        "rest": _rest(week.owner),
        "judged": JUDGED,
    }


def _rest(owner: str) -> dict[str, str]:
    """Return by list, which has a bound here, where the console goes on with it: a path, after the address of the console."""
    asked = {
        "signals": {"sort": "signals"},
        "renewals": {"sort": "renewal", "renews_within": str(RENEWALS_WITHIN)},
    }
    of = {"owner": owner} if owner else {}
    return {name: f"/portfolio?{urlencode({**each, **of})}" for name, each in asked.items()}


def summary(week: Week, reader: Reader) -> str:
    """Return the week in one paragraph."""
    words, formats, sums = reader.words, reader.formats, _Sums(week)
    red, renewals = sums.now("RED"), sums.renewals
    money = formats.money
    worse = sum(_worse(each) for each in week.changed)
    better = sum(_better(each) for each in week.changed)

    def say(key: str, count: float, **values: Any) -> str:
        return words(f"report.summary.{key}", count=count, shown=formats.number(count), **values)

    total = red["accounts"]
    said = [
        say("accounts", week.total, revenue=money(sums.revenue)),
        say("red", total, revenue=money(red["revenue"])) if total else words("report.summary.no_red"),
        say("red_change", abs(change), change=formats.change(change)) if (change := sums.change("RED")) else "",
        say("worse", worse) if worse else words("report.summary.no_worse"),
        say("better", better) if better else "",
        say("fired", week.fired_total),
        say("resolved", week.resolved_total),
        say("open", week.open_total, critical=words("signals.critical", count=week.open_critical)),
        say("set_aside", week.set_aside) if week.set_aside else "",
        say("renewals", len(renewals), revenue=money(sum(each["revenue"] or 0 for each in renewals)))
        if renewals
        else "",
        say("renewals_red", at_risk) if (at_risk := sum(each["band"] == "RED" for each in renewals)) else "",
        say("largest", read) if (read := len(week.accounts)) < week.total else "",
    ]
    return " ".join(each for each in said if each)


def in_blocks(weeks: Sequence[Found | None]) -> str:
    """Return scores as characters of a font: a line that every mail program shows."""
    found = [week["score"] if week and week["band"] in JUDGED and week["score"] is not None else None for week in weeks]
    return "".join("·" if each is None else _BARS[min(7, int(max(0.0, each) * 8 / 101))] for each in found)


def title(week: Week, reader: Reader) -> str:
    """Return the heading of the report, which is the subject of the e-mail as well."""
    day = reader.formats.day(week.last_day)
    if week.owner:
        return reader.words("report.title_of", day=day, owner=clipped(one_line(week.owner)))
    return reader.words("report.title", day=day)


class _Sums:
    """Sums over a week's accounts."""

    def __init__(self, week: Week) -> None:
        self._week = week
        # Not of the accounts that were read: of very many these are not all.
        self.revenue = sum(float(self.now(band)["revenue"]) for band in BANDS)
        self.by_revenue = self.revenue > 0
        soon = (
            each
            for each in week.accounts
            if each["account"] not in week.lost
            and (left := days_between(week.last_day, each["renewal_date"])) is not None
            and 0 <= left <= RENEWALS_WITHIN
        )
        self.renewals = sorted(soon, key=lambda each: (each["renewal_date"], -(each["revenue"] or 0)))

    def now(self, band: str) -> Mapping[str, float]:
        return self._of(-1, band)

    def change(self, band: str) -> float:
        """Return how many accounts more than a week ago are in a band; 0 where nothing was known then."""
        return self.now(band)["accounts"] - self._of(-2, band)["accounts"] if len(self._week.base) > 1 else 0

    def _of(self, place: int, band: str) -> Mapping[str, float]:
        bands = self._week.base[place]["bands"] if self._week.base else {}
        return bands.get(band) or {"accounts": 0, "revenue": 0.0}


class _Rows:
    """Turns what was found into rows of the lists."""

    def __init__(self, week: Week, reader: Reader) -> None:
        self._week = week
        self._reader = reader
        self._words, self._formats, self._wording = reader.words, reader.formats, reader.wording

    def listed(self, found: Iterable[Found], row: Callable[[Found], dict[str, Any]], most: int) -> list[dict[str, Any]]:
        return [row(each) for each in list(found)[:most]]

    def signal(self, signal: Found) -> dict[str, Any]:
        is_risk = signal["category"] == "RISK"
        renewal_in = days_between(self._week.last_day, signal["renewal_date"])
        return {
            **self._account(signal["account"], signal["account_name"], signal["owner"]),
            "kind": str(signal["severity"]).lower() if is_risk else "expansion",
            "severity": self._wording.severity(signal["severity"]) if is_risk else self._words("signals.one_expansion"),
            "title": _text(self._wording.title(signal)),
            "evidence": _text(self._wording.evidence(signal)),
            "action": "" if signal["eased"] else _text(self._wording.action(signal)),
            "revenue": self._formats.money(signal["revenue"]),
            "renewal": self._formats.day(signal["renewal_date"]),
            "soon": renewal_in is not None and 0 <= renewal_in <= RENEWALS_WITHIN,
            "since": self._formats.short_day(log_day_text(signal["episode_started_at"])),
        }

    def change(self, account: Found) -> dict[str, Any]:
        return {
            **self._account(account["account"], account["name"], account["owner"]),
            "before": account["before"],
            "now": account["now"],
            "points": account["points"],
            "weeks": account["weeks"],
            "blocks": in_blocks(account["weeks"]),
            "label": self._label(account["weeks"]),
            "revenue": self._formats.money(account["revenue"]),
            "why": _text(" · ".join(self._wording.reasons(account["why"]))),
        }

    def renewal(self, account: Found) -> dict[str, Any]:
        return {
            **self._account(account["account"], account["name"], account["owner"]),
            "day": self._formats.day(account["renewal_date"]),
            "left": days_between(self._week.last_day, account["renewal_date"]),
            "revenue": self._formats.money(account["revenue"]),
            "band": account["band"],
            "score": account["score"],
        }

    def transition(self, signal: Found) -> dict[str, Any]:
        reason = str(signal.get("resolved_reason") or "")
        key = f"report.reason.{reason}"
        return {
            **self._account(signal["account"], signal["account_name"], signal["owner"]),
            "kind": str(signal["severity"]).lower() if signal["category"] == "RISK" else "expansion",
            "title": _text(self._wording.title(signal)),
            "day": self._formats.short_day(log_day_text(signal["at"])),
            "reason": self._words(key) if reason and self._words.has(key) else _text(reason),
        }

    def marks(self) -> list[Mark]:
        return [
            Mark(
                each["score"],
                each["revenue"],
                each["band"],
                self._words(
                    "portfolio.mark",
                    name=clipped(one_line(each["name"] or each["account"])),
                    score=self._formats.score(each["score"]),
                    revenue=self._formats.money(each["revenue"]),
                ),
                self._reader.address(each["account"]),
            )
            for each in self._week.accounts[:_MOST_MARKS]
            if each["band"] in JUDGED and each["score"] is not None and each["revenue"]
        ]

    def _account(self, account: str, name: str, owner: str) -> dict[str, Any]:
        shown = clipped(one_line(name or account), _NAME)
        return {
            "name": shown,
            "address": self._reader.address(account),
            "owner": clipped(one_line(owner or ""), 40) or "–",
        }

    def _label(self, weeks: Sequence[Found | None]) -> str:
        judged = [week["score"] for week in weeks if week and week["band"] in JUDGED]
        if not judged:
            return self._words("report.spark_none")
        return self._words("report.spark", first=round(judged[0]), last=round(judged[-1]), low=round(min(judged)))


def _text(text: str) -> str:
    return clipped(one_line(text), _TEXT)


def one_line(text: str) -> str:
    """Return a text without control characters, on one line."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _worse(account: Found) -> bool:
    return RANK.get(account["now"]["band"], 3) < RANK.get(account["before"]["band"], -1)


def _better(account: Found) -> bool:
    return RANK.get(account["now"]["band"], -1) > RANK.get(account["before"]["band"], 3)
