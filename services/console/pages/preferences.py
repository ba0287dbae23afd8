"""Theme, language and whose accounts are "mine", kept in cookies of the reader's browser."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.responses import RedirectResponse, Response

from services.console.forms import fields_of
from services.console.identity import ME_COOKIE, over_tls
from services.console.rendering import THEMES, Visit
from services.shared.wording import LANGUAGES

_YEAR_S = 365 * 86_400
_LONGEST = 200


async def change(visit: Visit) -> Response:
    """Keep what was chosen, and go back to the page that it was chosen on."""
    form = await fields_of(visit.request)
    response = RedirectResponse(_back(form.get("back", "/")), 303)
    chosen = {
        "tidemark_theme": _one_of(form.get("theme"), THEMES),
        "tidemark_language": _one_of(form.get("language"), tuple(LANGUAGES)),
        ME_COOKIE: form["me"][:_LONGEST] if "me" in form else None,
    }
    for name, value in chosen.items():
        if value is not None:
            secure = over_tls(visit.request, visit.settings)
            response.set_cookie(name, quote(value, safe=""), _YEAR_S, httponly=True, samesite="lax", secure=secure)
    return response


def _one_of(given: str | None, choices: tuple[str, ...]) -> str | None:
    return given if given in choices else None


def _back(address: str) -> str:
    """Return an address of this site: what names another one becomes the first page."""
    try:
        parts = urlsplit(address)
    except ValueError:  # a bracket that opens no address of version 6
        return "/"
    local = not parts.scheme and not parts.netloc and address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if local and address.isprintable() else "/"
