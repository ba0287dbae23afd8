"""Was it right? A back-test on one's own history, by a list of lost customers, and its report."""

from __future__ import annotations

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from services.console.backtests import Backtests
from services.console.histories import obstacle
from services.console.recorded.judgements import by_rule, judgements
from services.console.recorded.losses import NOTHING, as_list, losses_on_record
from services.console.rendering import Visit
from services.console.uploads import MOST_BYTES, TooLarge, Unreadable, file_of

_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""The report is a page of its own with styles and plots in it, and no script at all."""


async def show(visit: Visit) -> Response:
    """Render the page, or how far the back-test is alone."""
    return await _page(visit)


async def start(visit: Visit) -> Response:
    """Start a back-test with the list that the form sends."""
    tests = _backtests(visit)
    try:
        name, content, fields = await file_of(visit.request, "lost")
    except TooLarge:
        return await _page(visit, "too_large", 413)
    except Unreadable:
        return await _page(visit, "unreadable", 400)
    if b"\0" in content:
        return await _page(visit, "no_csv", 400)
    if await obstacle(visit.settings.history):
        return await _page(visit, status=409)
    found = await losses_on_record(visit.api) if "recorded" in fields and not content else NOTHING
    if found.losses:
        content = as_list(found)
    by = visit.identity.name or visit.identity.owner
    if not tests.start(content, "" if found.losses else name, by, visit.words.language, len(found.losses)):
        return await _page(visit, "running", 409)
    return RedirectResponse("/right", 303)


async def stop(visit: Visit) -> Response:
    """Stop the back-test that runs."""
    _backtests(visit).stop()
    return RedirectResponse("/right", 303)


async def report(visit: Visit) -> Response:
    """Return the report: the page that the back-test wrote, or its text where plots cannot be made."""
    run = _backtests(visit).latest
    file = run.report if run is not None and run.state == "done" else None
    if file is None:
        return RedirectResponse("/right", 303)
    text = file.read_text("utf-8")
    response: Response = HTMLResponse(text) if file.suffix == ".html" else PlainTextResponse(text)
    response.headers["Content-Security-Policy"] = _REPORT_POLICY
    response.headers["Cache-Control"] = "private, no-cache"
    return response


async def _page(visit: Visit, problem: str = "", status: int = 200) -> Response:
    tests = _backtests(visit)
    recorded = await losses_on_record(visit.api) if tests.possible and not tests.is_running else NOTHING
    judged = None if visit.wants_part else await judgements(visit.api)
    return visit.page(
        "right_run.html.jinja" if visit.wants_part else "right.html.jinja",
        "right",
        status,
        run=tests.latest,
        obstacle="" if tests.is_running else await obstacle(visit.settings.history),
        history=visit.settings.history,
        problem=problem,
        recorded=recorded.losses,
        not_in_list=recorded,
        judged=None if judged is None else by_rule(judged),
        most=visit.formats.number(MOST_BYTES / 1e6),
    )


def _backtests(visit: Visit) -> Backtests:
    found: Backtests = visit.request.app.state.backtests
    return found
