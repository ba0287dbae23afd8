"""Sign-in: a token is exchanged once for a cookie that scripts cannot read."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from services.console.api_client import Api, ApiError
from services.console.forms import fields_of
from services.console.holders import holder_of
from services.console.identity import TOKEN_COOKIE, may_be_token, over_tls
from services.console.rendering import Visit

_MONTH_S = 30 * 86_400


async def show(visit: Visit) -> Response:
    """Ask for a token, unless the reader is in already."""
    if visit.identity.how in {"open", "proxy"}:
        return RedirectResponse("/", 303)
    again = "again" in visit.request.query_params
    return _page(visit, "signin.again" if again else "", 200)


async def enter(visit: Visit) -> Response:
    """Exchange a token."""
    token = (await fields_of(visit.request)).get("token", "").strip()
    if not may_be_token(token):
        return _page(visit, "signin.wrong", 400)
    try:
        await holder_of(Api(visit.api.upstream, token))
    except ApiError as error:
        if error.status in {401, 403}:
            return _page(visit, "signin.wrong", 401)
        raise
    response = RedirectResponse("/", 303)
    secure = over_tls(visit.request, visit.settings)
    response.set_cookie(TOKEN_COOKIE, token, _MONTH_S, httponly=True, samesite="lax", secure=secure)
    return response


async def leave(visit: Visit) -> Response:
    """Forget the token."""
    del visit
    return forget(RedirectResponse("/sign-in", 303))


def forget(response: Response) -> Response:
    """Have the browser forget its token."""
    response.delete_cookie(TOKEN_COOKIE, httponly=True, samesite="lax")
    return response


def _page(visit: Visit, problem: str, status: int) -> Response:
    return visit.page("signin.html.jinja", status=status, problem=problem, by_proxy=visit.settings.user_header)
