"""The portfolio: every account with its health, found by filter and search, and a picture of the whole base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import RedirectResponse, Response

from services.console.addresses import account_address
from services.console.api_client import ApiError
from services.console.bands import BANDS, JUDGED, amount_of
from services.console.charts.scatter import Mark
from services.console.charts.sparkline import scores
from services.console.days import days_between
from services.console.owners import SHOWN, is_owner, nearest_first, owners_of
from services.console.pages.waiting import FEEDS
from services.console.rendering import Visit, clipped

ROWS = 60
WEEKS = 30
_CHANGE_WEEKS = 4
STAGES = ("ONBOARDING", "ADOPTION", "ONGOING", "RENEWAL")
COLUMNS = (
    ("account", "name"),
    ("health", "score"),
    ("risk", "risk"),
    ("weeks", ""),
    ("signals", "signals"),
    ("renewal", "renewal"),
    ("revenue", "-revenue"),
    ("stage", "stage"),
    ("owner", "owner"),
)
"""Columns of the table and what the API sorts them by; a leading minus: largest first."""
DEFAULT_SORT = "-revenue"
RISKIEST = "1"
"""The tenth that the list can be narrowed to."""
RENEWS_WITHIN = ("30", "60", "90", "180")
"""Days until the renewal that the list can be narrowed to."""
_FILTERS = ("q", "band", "stage", "owner", "risk_tenth", "renews_within", "lacking", "sort")
_LONGEST_SEARCH = 200


async def show(visit: Visit) -> Response:
    """Render the page, or its list alone."""
    chosen = _chosen(visit)
    if "go" in visit.request.query_params:
        return await _go(visit, chosen)
    if visit.wants_part:
        response = _render(visit, "portfolio_list.html.jinja", await _list(visit, chosen))
        response.headers["HX-Replace-Url"] = visit.address(
            sort=None if chosen["sort"] == DEFAULT_SORT else chosen["sort"]
        )
        return response
    listed = await _list(visit, chosen)  # first: it tells whether somebody was erased since the picture was made
    base = await visit.api.get_recent("/v1/portfolio", weeks=WEEKS)
    if listed["total"] and not base["total"]:  # it was made before the first account
        base = await visit.api.get("/v1/portfolio", weeks=WEEKS)
    return _render(visit, "portfolio.html.jinja", {**listed, **_picture(visit, base)})


async def _go(visit: Visit, chosen: Mapping[str, Any]) -> Response:
    """Lead to the only account that is found, or else to the list."""
    told = await visit.api.get("/v1/accounts", **chosen, limit=2) if chosen["q"] else {"accounts": []}
    found = told["accounts"]
    address = account_address(found[0]["account"]) if len(found) == 1 else visit.address(go=None)
    return RedirectResponse(address, 303)


def _render(visit: Visit, template: str, values: Mapping[str, Any]) -> Response:
    return visit.page(
        template, "portfolio", bands=BANDS, stages=STAGES, renewals=RENEWS_WITHIN, default_sort=DEFAULT_SORT, **values
    )


def _chosen(visit: Visit) -> dict[str, Any]:
    given = visit.request.query_params
    bands = {each.upper() for each in given.getlist("band") if each}
    return {
        "q": given.get("q", "").strip()[:_LONGEST_SEARCH],
        # What there is not is asked for all the same: the API says so, where a filter that is left out would show all.
        "band": [*(band for band in BANDS if band in bands), *sorted(bands.difference(BANDS))],
        "stage": given.get("stage", "").upper(),
        "owner": given.get("owner", ""),
        "risk_tenth": _offered(given, "risk_tenth", (RISKIEST,)),
        "renews_within": _offered(given, "renews_within", RENEWS_WITHIN),
        "lacking": given.get("lacking", "")[:_LONGEST_SEARCH],
        "sort": given.get("sort") or DEFAULT_SORT,
    }


def _offered(given: Mapping[str, str], name: str, offered: Sequence[str]) -> str:
    """
    Return what a filter is set to.

    Raises:
        ApiError: to something that the page cannot show.
    """
    value = given.get(name, "")
    if value and value not in offered:
        raise ApiError(400, "bad_parameter", name, f"{clipped(value)!r} is none of {', '.join(offered)}")
    return value


async def _list(visit: Visit, chosen: Mapping[str, Any]) -> dict[str, Any]:
    cursor = visit.request.query_params.get("cursor")
    told = await visit.api.get("/v1/accounts", **chosen, away=True, weeks=WEEKS, limit=ROWS, cursor=cursor)
    rows = [_row(visit, account, told["as_of"]) for account in told["accounts"]]
    is_nobody = chosen["owner"] and not rows and not await is_owner(visit, chosen["owner"])
    owners = await owners_of(visit) if is_nobody else []
    return {
        "unknown_owner": bool(owners),
        "owners_offered": nearest_first(chosen["owner"], owners)[:SHOWN],
        "rows": rows,
        "lacking": _lacking(visit, chosen["lacking"]),
        "total": told["total"],
        "following": told["next"],
        "continued": cursor is not None,
        "chosen": chosen,
        "filtered": any(chosen[name] for name in _FILTERS if name != "sort"),
        "as_of": told["as_of"],
        "sorts": [_sort(visit, name, key, chosen["sort"]) for name, key in COLUMNS],
    }


def _lacking(visit: Visit, measure: str) -> str:
    """Return in words what is not known of the accounts of a list."""
    feed = next((each.name for each in FEEDS if measure in each.known), "")
    return visit.words(f"waiting.feeds.{feed}.title") if feed else measure


def _row(visit: Visit, account: Mapping[str, Any], as_of: str) -> dict[str, Any]:
    weeks = account.get("weeks") or []
    judged = scores(weeks)
    words = visit.words
    label = (
        words("portfolio.spark", first=round(judged[0]), last=round(judged[-1]), low=round(min(judged)))
        if judged
        else words("portfolio.spark_none")
    )
    known = account["band"] in JUDGED
    return {
        **account,
        "known": known,
        "change": _change(weeks) if known else None,
        "address": account_address(account["account"]),
        "label": label,
        "renewal_in": days_between(as_of, account["renewal_date"]),
    }


def _change(weeks: Sequence[Mapping[str, Any] | None]) -> float | None:
    """Return by how many points the score moved in four weeks; None where it meant nothing then, or means nothing now."""
    if len(weeks) <= _CHANGE_WEEKS:
        return None
    before, now = weeks[-1 - _CHANGE_WEEKS], weeks[-1]
    if not before or not now or not {before["band"], now["band"]} <= set(JUDGED):
        return None
    return float(now["score"]) - float(before["score"])


def _sort(visit: Visit, name: str, key: str, current: str) -> dict[str, Any]:
    """Return a column: where a click on its head leads, and how it is sorted now."""
    if not key:
        return {"name": name, "address": None, "state": None, "sort": ""}
    bare = key.removeprefix("-")
    state = None
    if current.removeprefix("-") == bare:
        state = "descending" if current.startswith("-") else "ascending"
    turned = bare if current.startswith("-") else f"-{bare}"
    sort = turned if state else key
    return {"name": name, "address": visit.address(sort=sort, cursor=None), "state": state, "sort": sort}


def _picture(visit: Visit, base: Mapping[str, Any]) -> dict[str, Any]:
    weeks = [week for week in base["weeks"] if week.get("bands")]
    latest = weeks[-1]["bands"] if weeks else {}
    revenue = {band: [amount_of(week, band, "revenue") for week in weeks] for band in (*reversed(JUDGED), *BANDS[3:])}
    accounts = {band: [amount_of(week, band, "accounts") for week in weeks] for band in revenue}
    by_revenue = any(any(values) for values in revenue.values())
    marks = [
        Mark(each["score"], each["revenue"], each["band"], _title(visit, each), account_address(each["account"]))
        for each in base["accounts"]
        if each["band"] in JUDGED and each["score"] is not None and each["revenue"]
    ]
    return {
        "latest": {band: latest.get(band) or {"accounts": 0, "revenue": 0} for band in BANDS},
        "tiles": [band for band in BANDS if band in JUDGED or latest.get(band)],
        "by_revenue": by_revenue,
        "days": [week["day"] for week in weeks],
        "amounts": revenue if by_revenue else accounts,
        "marks": marks,
        "owners": [each["owner"] for each in base["owners"] if each["owner"]],
        "base_total": sum(int(each["accounts"]) for each in latest.values()),
    }


def _title(visit: Visit, account: Mapping[str, Any]) -> str:
    return visit.words(
        "portfolio.mark",
        name=clipped(account["name"] or account["account"]),
        score=visit.formats.score(account["score"]),
        revenue=visit.formats.money(account["revenue"]),
    )
