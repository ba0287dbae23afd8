"""
Pages out of templates: what every page has around it, in the language and the theme of its reader.

A page that script asks for a part of (`HX-Request`) is rendered as that part alone, from a template of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.console import charts
from services.console.addresses import account_address
from services.console.api_client import Api
from services.console.assets import asset
from services.console.days import log_day_text
from services.console.identity import Identity
from services.console.settings import ConsoleSettings
from services.console.wording import Wording
from services.console.words.formats import Formats
from services.shared.wording import LANGUAGES, Catalogue

NAVIGATION = ("today", "portfolio", "ingest", "waiting", "right")
"""The pages of the navigation, by name: each has its words under `nav.` and its address in ADDRESSES."""
ADDRESSES = {"today": "/", "portfolio": "/portfolio", "ingest": "/ingest", "waiting": "/waiting", "right": "/right"}
THEMES = ("system", "light", "dark")


@dataclass(frozen=True)
class Visit:
    """One request of one reader."""

    request: Request
    api: Api
    identity: Identity
    words: Catalogue
    settings: ConsoleSettings
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @cached_property
    def formats(self) -> Formats:
        """Return how this reader reads values."""
        return Formats(self.words.locale, self.settings.currency)

    @cached_property
    def wording(self) -> Wording:
        """Return how signals, bands and measures are worded for this reader."""
        return Wording(self.words, self.formats)

    @property
    def ingest(self) -> str | None:
        """Return the address of ingest as browsers reach it, where it is known."""
        return self.settings.ingest

    @property
    def theme(self) -> str:
        """Return the theme that the reader chose."""
        chosen = self.request.cookies.get("tidemark_theme", "system")
        return chosen if chosen in THEMES else "system"

    @property
    def wants_part(self) -> bool:
        """Return whether script asks for the changing part of the page alone."""
        return (
            self.request.headers.get("hx-request") == "true"
            and "hx-history-restore-request" not in self.request.headers
        )

    def address(self, **changed: Any) -> str:
        """Return this page's address with some parameters changed; None and empty ones are left out."""
        kept = [(n, v) for n, v in self.request.query_params.multi_items() if v and n not in changed]
        for name, value in changed.items():
            values = value if isinstance(value, tuple | list) else [value]
            kept += [(name, str(each)) for each in values if each not in (None, "")]
        path = self.request.scope.get("raw_path", b"").decode("latin-1") or self.request.url.path
        # Two slashes at the beginning would name another host.
        return "/" + path.lstrip("/") + (f"?{urlencode(kept)}" if kept else "")

    def page(self, template: str, current: str = "", status: int = 200, **values: Any) -> Response:
        """Render a template."""
        context = {**values, **self._frame(current)}
        headers = {"Cache-Control": "private, no-cache", "Vary": "HX-Request, Cookie, Accept-Language"}
        response = HTMLResponse(_environment().get_template(template).render(context), status, headers)
        response.headers["Content-Security-Policy"] = policy(self.nonce)
        return response

    def _frame(self, current: str) -> Mapping[str, Any]:
        return {
            "visit": self,
            "t": self.words,
            "f": self.formats,
            "w": self.wording,
            "charts": charts,
            "current": current,
            "navigation": [(name, ADDRESSES[name]) for name in NAVIGATION],
            "languages": LANGUAGES,
            "themes": THEMES,
        }


def policy(nonce: str) -> str:
    """Return the Content-Security-Policy of a page: nothing inline, and scripts may write no HTML but through htmx."""
    return (
        f"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types htmx"
    )


def clipped(text: str, most: int = 80) -> str:
    """Return a text that is not longer than what there is room for."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


_made: list[Environment] = []


def _environment() -> Environment:
    if not _made:
        environment = Environment(
            loader=PackageLoader("services.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["clip"] = clipped
        environment.filters["log_day"] = log_day_text
        environment.globals.update(asset=asset, account_address=account_address)
        _made.append(environment)
    return _made[0]
