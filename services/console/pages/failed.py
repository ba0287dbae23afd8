"""What is shown instead of a page: that there is none, or that the API refused or did not answer."""

from __future__ import annotations

from starlette.responses import Response

from services.console.api_client import KINDS, ApiError
from services.console.rendering import Visit


async def no_such_page(visit: Visit) -> Response:
    """Say that nothing is at this address."""
    return visit.page("failed.html.jinja", status=404, kind="no_such_page", detail="", problem="", written="")


def page(visit: Visit, error: ApiError, problem: str = "", written: str = "") -> Response:
    """Say what the API said; and what is wrong with a form whose page cannot be shown, with what was written in it."""
    kind = KINDS.get(error.status, "unavailable")
    status = error.status if error.status in KINDS else 503
    said = {"detail": _detail(error), "problem": problem, "written": written}
    response = visit.page("failed.html.jinja", status=status, kind=kind, **said)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _detail(error: ApiError) -> str:
    return f"{error.field}: {error.detail}" if error.field else error.detail
