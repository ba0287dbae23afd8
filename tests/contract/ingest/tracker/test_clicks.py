"""Clicks: on what is declared, on links and buttons where it is asked for, and never what a form holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = """
<form data-tm-event="Report Requested" data-tm-kind="weekly" onsubmit="event.preventDefault()">
  <label>Name <input id=name value="initial-value"></label>
  <input id=secret type=password>
  <textarea id=note>typed-earlier</textarea>
  <select id=choice><option>first-option<option>second-option</select>
  <p contenteditable id=rich>edited-text</p>
  <button id=odd type=button><select><option>inner-option</select></button>
  <div contenteditable id=letter>dear <a id=inside href="/who?mail=a@b.example#c">ada-in-letter</a></div>
  <input type=submit id=go value="submit-value">
</form>"""


async def test_a_click_on_what_declares_an_event_is_that_event(tracking: Any) -> None:
    page = await tracking.open(
        tracking.site.page(
            "/",
            """<button data-tm-event="Report Shared" data-tm-report-kind="weekly" data-tm-to=team data-other=x>
            <b id=inner>Share</b></button><i id=elsewhere>nothing</i>""",
        )
    )

    await page.click("#inner")
    await page.click("#elsewhere")

    (event,) = await tracking.until_named("Report Shared")
    assert event["properties"] == {"report_kind": "weekly", "to": "team"}
    assert event["context"]["page"]["path"] == "/"


async def test_a_form_is_counted_when_it_is_submitted(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/form", FORM))

    await page.click("#name")
    await page.fill("#name", "Ada Lovelace")
    await page.press("#name", "Enter")

    (event,) = await tracking.until_named("Report Requested")
    assert event["properties"] == {"kind": "weekly"}


async def test_links_and_buttons_are_captured_where_it_is_asked_for(tracking: Any) -> None:
    body = """<a id=far href="https://other.example/docs?key=secret#part" onclick="event.preventDefault()"> The
        <b>docs</b> </a><button id=plain>Export</button><a id=mail href="mailto:ada@b.example">Write</a>
        <div data-tm-ignore><button id=hidden>Salary of Ada</button></div>"""
    page = await tracking.open(tracking.site.page("/", body, clicks=""))
    await page.evaluate("document.querySelector('#mail').addEventListener('click', event => event.preventDefault())")

    for target in ("#far b", "#hidden", "#plain", "#mail"):
        await page.click(target)

    events = await tracking.until_named("Element Clicked", 3)
    assert [event["properties"] for event in events] == [
        {"tag": "a", "id": "far", "text": "The docs", "href": "https://other.example/docs"},
        {"tag": "button", "id": "plain", "text": "Export", "href": ""},
        {"tag": "a", "id": "mail", "text": "Write", "href": ""},
    ]


async def test_the_text_of_a_click_is_cut_between_characters(tracking: Any) -> None:
    """Half an emoji is no text: ingest would refuse the event."""
    page = await tracking.open(tracking.site.page("/", f"<button id=go>{'x' * 79}🎉 and more</button>", clicks=""))

    await page.click("#go")

    (event,) = await tracking.until_named("Element Clicked")
    assert event["properties"]["text"] == "x" * 79 + "🎉"


async def test_nothing_that_a_form_holds_is_ever_sent(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/form", FORM, clicks=""))
    typed = {"#name": "Ada Lovelace", "#secret": "hunter2", "#note": "private note", "#rich": "rich words"}

    for field, text in typed.items():
        await page.click(field)
        await page.fill(field, text)
    for target in ("#choice", "#odd", "#inside", "#go"):
        await page.click(target)
    await page.evaluate("tidemark.track('Done')")
    await tracking.until_named("Done")
    await page.goto(tracking.site.page("/next"))
    await until(lambda: "/next" in tracking.paths(), 20)

    sent = b"".join(request.body for request in tracking.gateway.posts())
    held = ["initial-value", "typed-earlier", "option", "edited-text", "ada-in-letter", "submit-value", "a@b.example"]
    assert b"Element Clicked" in sent
    assert [text for text in (*held, *typed.values()) if text.encode() in sent] == []


async def test_a_click_inside_of_a_web_component_is_seen(tracking: Any) -> None:
    body = """<div id=host></div><script>host.attachShadow({mode: "open"}).innerHTML =
        '<button data-tm-event="Inside Clicked">in</button>'</script>"""
    page = await tracking.open(tracking.site.page("/", body))

    await page.click("#host button")

    await tracking.until_named("Inside Clicked")


async def test_a_click_on_the_document_itself_breaks_nothing(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", clicks=""))

    await page.evaluate("document.dispatchEvent(new Event('click'))")
    await page.evaluate("tidemark.track('Done')")

    await tracking.until_named("Done")
    assert tracking.problems == []
