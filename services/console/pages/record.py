"""What people record of an account: a contact, a note, a goal, a handoff, an absence, a loss. Each becomes an event."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.responses import RedirectResponse, Response

from services.console.account.recording import FORMS, LONGEST_LINE, BadField, calls
from services.console.addresses import account_address
from services.console.api_client import ApiError
from services.console.forms import fields_of
from services.console.ingest_client import NotRecorded, record
from services.console.pages import account as account_page
from services.console.pages import failed
from services.console.pages.record_forms import author_of, new_id, today
from services.console.rendering import Visit

_ID = re.compile(r"console-[A-Za-z0-9_-]{22}")
_UNPROCESSABLE, _UNAVAILABLE = 422, 503


async def send(visit: Visit) -> Response:
    """Record what the form says and go back to the page; or show it again as it was written, with what is wrong."""
    account = account_page.account_of(visit)
    given = await fields_of(visit.request, first=True)
    kind, words = given.get("kind", ""), visit.words
    if not account or kind not in FORMS:
        return failed.page(visit, ApiError(400, "bad_request", "kind", f"one of {', '.join(FORMS)}"))
    author = author_of(visit) or given.get("author", "").strip()[:LONGEST_LINE]
    record_id = given.get("id", "")
    try:
        if given.too_large:
            raise BadField(max(FORMS[kind], key=lambda field: len(given.get(field.name, ""))).name, "too_large")
        if not author:
            raise BadField("author", "missing")
        made = calls(
            kind,
            given,
            account=account,
            author=author,
            record_id=record_id if _ID.fullmatch(record_id) else new_id(),
            today=today(),
            owner=given.get("owner") or None,
        )
        await record(visit.settings, made)
        visit.api.upstream.recent.forget()
    except BadField as error:
        problem = words(f"record.problem.{error.problem}", field=words(f"record.field.{error.field}"))
        return await _again(visit, account, kind, given, error.field, problem, _UNPROCESSABLE)
    except NotRecorded as error:
        field = error.field.rpartition(".")[2]
        known = field in {each.name for each in FORMS[kind]}
        name = words(f"record.field.{field}") if known else error.field
        problem = words("record.refused", code=error.code, field=name or "–", detail=error.detail)
        status = _UNAVAILABLE if error.code == "unavailable" else _UNPROCESSABLE
        return await _again(visit, account, kind, given, field if known else "", problem, status)
    return RedirectResponse(f"{account_address(account, recorded=kind)}#recorded", 303)


async def _again(
    visit: Visit, account: str, kind: str, given: Mapping[str, str], field: str, problem: str, status: int
) -> Response:
    refused = {"kind": kind, "given": given, "field": field, "problem": problem}
    try:
        return await account_page.page(visit, account, status=status, refused=refused)
    except ApiError as error:
        if error.status < 500:
            raise
        written = [given[each.name] for each in FORMS[kind] if given.get(each.name)]
        return failed.page(visit, error, problem, "\n".join(written))
