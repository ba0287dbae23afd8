"""What may be exported: a view, a format, and the days of a part."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple, Protocol

from services.shared.errors import Rejected
from services.shared.units import read_date
from services.warehouse.views import VIEWS, View

FORMATS = {"parquet": "Parquet", "csv": "CSVWithNames", "ndjson": "JSONEachRow"}
"""The engine's name of each format."""


class Selection(Protocol):
    """Rows that a store gives as one stream of bytes."""

    @property
    def query(self) -> str:
        """Return the SQL, in which nothing stands unchecked."""

    @property
    def format(self) -> str:
        """Return the engine's name of the format."""

    @property
    def fewer_days_take_less(self) -> bool:
        """Return whether a part of the days can be asked for, and takes less memory than the whole."""


class Export(NamedTuple):
    """One export."""

    view: View
    format: str
    first: date | None
    last: date | None

    @property
    def query(self) -> str:
        """Return its SQL; all that is in it was checked."""
        bounds = [
            f"{self.view.date} {sign} toDate32('{day.isoformat()}')"
            for sign, day in ((">=", self.first), ("<=", self.last))
            if day is not None
        ]
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        # What is not known is an empty cell: the engine's own sign, \N, is text to everybody else.
        settings = " SETTINGS format_csv_null_representation = ''" if self.format == FORMATS["csv"] else ""
        return f"SELECT * FROM {self.view.name}{where}{settings}"  # noqa: S608  names and dates of ours

    @property
    def fewer_days_take_less(self) -> bool:
        """Return whether the view goes by day; cohorts are counted before some of them are left out."""
        return self.view.date == "date"


def export_of(name: str, parameters: Mapping[str, str]) -> Export:
    """
    Return what a request asks for.

    Raises:
        Rejected: there is no such view, or a parameter is wrong.
    """
    view = VIEWS.get(name)
    if view is None:
        raise Rejected("no_such_view", "view", f"there is no view {name[:100]!r}; there are {', '.join(VIEWS)}")
    unknown = sorted(set(parameters) - {"format", "from", "until"})
    if unknown:
        raise Rejected("bad_parameter", unknown[0][:100], "is not known; format, from and until are")
    format_ = parameters.get("format", "parquet")
    if format_ not in FORMATS:
        raise Rejected("bad_parameter", "format", f"is one of {', '.join(FORMATS)}")
    first, last = (_day(name, parameters.get(name)) for name in ("from", "until"))
    if view.date is None and (first or last):
        raise Rejected(
            "bad_parameter", "from" if first else "until", f"{view.name} has no days: it says how things are now"
        )
    if first and last and last < first:
        raise Rejected("bad_parameter", "until", f"{last} is before {first}")
    return Export(view, FORMATS[format_], first, last)


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return read_date(text)
    except ValueError:
        raise Rejected("bad_parameter", name, f"{text[:40]!r} is no day: give one as 2026-03-31") from None
