"""What is sent and stored at each level of consent, and what the signals of a browser change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIGNALS = {
    "Global Privacy Control": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})",
    "Do Not Track": "Object.defineProperty(Navigator.prototype, 'doNotTrack', {value: '1'})",
}


async def _stored(page: Any) -> Any:
    return await page.evaluate("[Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]")


@pytest.mark.parametrize("signal", SIGNALS)
async def test_a_privacy_signal_leaves_the_account_and_nothing_of_the_person(tracking: Any, signal: str) -> None:
    address = tracking.site.page("/users/list", user="ada", account="acme", clicks="")
    page = await tracking.open(address)
    await tracking.until_paths("/users/list")  # stored from before the signal was set
    await page.close()
    await tracking.context.add_init_script(SIGNALS[signal])
    tracking.log.records.clear()
    tracking.gateway.requests.clear()

    page = await tracking.open(address + "?of=ada")
    await page.evaluate("tidemark.identify('ada', {email: 'ada@b.example'}); tidemark.track('A')")
    await tracking.until_paths("/users/list")
    await tracking.until_named("A")

    for event in tracking.events():
        assert (event["account"], event["user"]) == ("acme", "")
        assert event["context"]["page"] == {"path": "/users/list"}
    assert {event["kind"] for event in tracking.events()} == {"PAGE", "TRACK"}
    assert b"ada" not in b"".join(request.body for request in tracking.gateway.posts())
    assert await _stored(page) == [[], [], ""]


async def test_under_a_signal_nothing_is_sent_until_the_account_is_known(tracking: Any) -> None:
    await tracking.context.add_init_script(SIGNALS["Global Privacy Control"])
    page = await tracking.open(tracking.site.page("/"))
    await page.evaluate("tidemark.track('Before')")
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")
    assert tracking.gateway.posts() == []

    await page.evaluate("tidemark.group('acme', {plan: 'pro'})")

    await tracking.until_paths("/")
    assert [(event["kind"], event["account"], event["user"]) for event in tracking.events()] == [
        ("GROUP", "acme", ""),
        ("PAGE", "acme", ""),
    ]


@pytest.mark.parametrize(("level", "users"), [("none", []), ("all", ["ada"])])
async def test_a_site_may_answer_signals_in_another_way(tracking: Any, level: str, users: list[str]) -> None:
    await tracking.context.add_init_script(SIGNALS["Global Privacy Control"])

    page = await tracking.open(tracking.site.page("/", gpc=level, user="ada", account="acme"))
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")

    await until(lambda: [event["user"] for event in tracking.events()] == users, 10)
    assert bool((await _stored(page))[0]) == (level == "all")


async def test_a_signal_never_raises_the_level_that_the_site_has_set(tracking: Any) -> None:
    await tracking.context.add_init_script(SIGNALS["Do Not Track"])

    page = await tracking.open(tracking.site.page("/", level="none", account="acme"))
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")

    assert tracking.gateway.posts() == []


async def test_before_consent_nothing_is_sent_or_stored_and_then_the_page_is(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", level="none", user="ada", account="acme"))
    await page.evaluate("tidemark.track('Before')")
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")
    assert tracking.gateway.posts() == []
    assert await _stored(page) == [[], [], ""]

    await page.evaluate("tidemark.consent('all')")

    await tracking.until_paths("/")
    assert [(event["kind"], event["account"], event["user"]) for event in tracking.events()] == [
        ("PAGE", "acme", "ada")
    ]


async def test_who_has_agreed_before_is_the_same_visitor_on_the_next_page(tracking: Any) -> None:
    """Every page asks for consent anew, and so begins by sending and storing nothing."""
    page = await tracking.open(tracking.site.page("/", level="none"))
    await page.evaluate("tidemark.consent('all')")
    await tracking.until_paths("/")

    await page.goto(tracking.site.page("/next", level="none"))
    before = len(tracking.gateway.posts())
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")
    assert len(tracking.gateway.posts()) == before
    await page.evaluate("tidemark.consent('all')")
    await tracking.until_paths("/", "/next")

    first, second = (event["anonymousId"] for event in tracking.events() if event["kind"] == "PAGE")
    assert first == second


@pytest.mark.parametrize("level", ["account", "cookieless"])
async def test_a_page_that_allows_less_than_those_before_deletes_what_they_stored(tracking: Any, level: str) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))
    await tracking.until_paths("/")

    await page.goto(tracking.site.page("/next", level=level, account="acme"))
    await tracking.until_paths("/", "/next")

    assert await _stored(page) == [[], [], ""]


@pytest.mark.parametrize("level", ["none", "account"])
async def test_consent_that_is_withdrawn_deletes_what_was_stored(tracking: Any, level: str) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))
    await tracking.until_paths("/")
    await page.evaluate("localStorage.other = 'of the page'")
    before = tracking.events()[0]["anonymousId"]

    await page.evaluate(
        "level => { tidemark.track('Queued'); tidemark.consent(level); tidemark.track('After') }", level
    )

    if level == "none":
        await page.wait_for_function("() => new Promise(done => setTimeout(done, 300, true))")
    else:
        await tracking.until_named("After")
    assert tracking.named("Queued") == []
    assert [event.get("anonymousId") != before for event in tracking.named("After")] == [True] * (level != "none")
    assert await _stored(page) == [["other"], [], ""]


async def test_cookieless_pages_are_strangers_to_each_other(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", level="cookieless"))
    await tracking.until_paths("/")
    await page.evaluate("tidemark.track('A')")

    await page.goto(tracking.site.page("/next", level="cookieless"))
    await tracking.until_paths("/", "/next")

    first, action, second = tracking.events()
    assert first["user"] == action["user"] != second["user"]
    assert await _stored(page) == [[], [], ""]


async def test_an_unknown_level_sends_nothing_and_says_so(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", level="everything", account="acme"))
    await page.wait_for_function("() => new Promise(done => setTimeout(done, 400, true))")

    assert tracking.gateway.posts() == []
    assert tracking.problems == ["tidemark: level must be one of none,account,cookieless,all"]


async def test_no_event_has_more_than_the_document_says(tracking: Any, project_root: Any) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))
    await page.evaluate("tidemark.track('A', {n: 1})")
    await tracking.until_named("A")

    sent = [json.loads(request.body) for request in tracking.gateway.posts()]
    assert {name for body in sent for name in body} == {"writeKey", "sentAt", "context", "batch"}
    events = [event for body in sent for event in body["batch"]]
    members = {"type", "messageId", "timestamp", "anonymousId", "userId", "context", "properties", "event"}
    assert {name for event in events for name in event} == members
    assert {name for event in events for name in event["context"]} == {"groupId", "page"}
    assert {name for event in events for name in event["context"]["page"]} == {"path", "url", "title", "referrer"}
