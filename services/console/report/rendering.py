"""The report as a page of its own, and as the two bodies of an e-mail."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from services.console import charts
from services.console.days import log_day_text
from services.console.rendering import clipped
from services.console.report.contents import Reader, RowLimits, contents
from services.console.report.week import MOST_ROWS, MOST_SIGNALS, Week

ON_PAGE = RowLimits(signals=MOST_SIGNALS, rows=MOST_ROWS)
IN_MAIL = RowLimits(signals=12, rows=12)
"""Gmail hides what comes after the first 102 KB of a body."""
MAIL_WEEKS = 8
_STYLES = ("console.css", "report.css")


def page(week: Week, reader: Reader) -> str:
    """Return the report as one HTML file, which needs no network, no script and no other file."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return _rendered("report.html.jinja", week, reader, ON_PAGE, style=style, policy=policy)


def mail_html(week: Week, reader: Reader) -> str:
    """Return the HTML body of an e-mail: tables, styles in the elements, and bars that are cells with a background."""
    return _rendered("report_mail.html.jinja", week, reader, IN_MAIL)


def mail_text(week: Week, reader: Reader) -> str:
    """Return the plain body of an e-mail."""
    return _rendered("report_mail.txt.jinja", week, reader, IN_MAIL)


def _rendered(template: str, week: Week, reader: Reader, bounds: RowLimits, **values: Any) -> str:
    frame: Mapping[str, Any] = {
        "t": reader.words, "f": reader.formats, "w": reader.wording, "charts": charts, "link": reader.link,
        "mail_weeks": MAIL_WEEKS,
    }  # fmt: skip
    return _environment().get_template(template).render(**contents(week, reader, bounds), **frame, **values)


@cache
def _style() -> str:
    root = files("services.console") / "static"
    return "\n".join((root / name).read_text("utf-8") for name in _STYLES)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("services.console"),
        autoescape=select_autoescape(["html.jinja"], default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clip"] = clipped
    environment.filters["log_day"] = log_day_text
    return environment
