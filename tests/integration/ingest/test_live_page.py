"""The page of events as they arrive, in a real Chromium, served by ingest as it is run, over a real log."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from schemas import codec
from services.shared.kafka import topics
from services.shared.kafka.clients import producer
from services.shared.kafka.reading import scan
from services.shared.kafka.settings import KafkaSettings
from tests.support.clients import chromium_without_windows
from tests.support.keys import entry
from tests.support.pages import a_browser
from tests.support.service_process import ServiceProcess
from tests.support.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

TOKEN = "0123456789abcdef"


class Ingest:
    """The process, and a client that sends to it."""

    def __init__(self, process: ServiceProcess, client: httpx.AsyncClient) -> None:
        self.process = process
        self.client = client
        self.address = f"http://127.0.0.1:{process.port}"

    async def send(self, message: str, **more: Any) -> None:
        """Send one track event."""
        event = {"type": "track", "event": "Report Shared", "userId": "ann", "messageId": message, **more}
        answer = await self.client.post("/v1/batch", json={"batch": [event]})
        assert answer.status_code == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def topics_of_module(kafka: Any) -> AsyncIterator[KafkaSettings]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap, topic_prefix=f"live{uuid.uuid4().hex[:8]}-", partitions=4
    )
    await topics.create(settings)
    yield settings
    await topics.delete(settings)


@asynccontextmanager
async def running(kafka: KafkaSettings, folder: Path, **environment: str) -> AsyncIterator[Ingest]:
    """Run ingest."""
    keys = folder / "keys.yaml"
    keys.write_text(entry("wk", "web") + entry("other", "app"))
    process = ServiceProcess("ingest", kafka, folder, TIDEMARK_WRITE_KEYS_FILE=str(keys), **environment)
    await process.start()
    try:
        await until(process.ready)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{process.port}", auth=("wk", "")) as client:
            yield Ingest(process, client)
    finally:
        await process.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingest(topics_of_module: KafkaSettings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ingest]:
    async with running(topics_of_module, tmp_path_factory.mktemp("live"), TIDEMARK_INGEST_LIVE_TOKEN=TOKEN) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser(chromium_without_windows()) as opened:
        yield opened


async def opened(browser: Browser, address: str, said: list[str]) -> Page:
    """Open a page; what it writes to its console, errors of its policy among them, is added to `said`."""
    page = await browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    await page.goto(address)
    return page


async def rows(page: Page) -> list[list[str]]:
    """Return the text of each row's cells, the latest first."""
    cells = "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    return list(await page.locator("#rows tr").evaluate_all(cells))


async def said_to_watch(page: Page) -> bool:
    return (await page.locator("#status").inner_text()).startswith("Watching")


async def test_a_developer_sees_what_becomes_of_each_event(
    ingest: Ingest, browser: Browser, topics_of_module: KafkaSettings
) -> None:
    said: list[str] = []
    page = await opened(browser, f"{ingest.address}/live?source=web#token={TOKEN}", said)
    await until(lambda: said_to_watch(page), 20)
    assert page.url == f"{ingest.address}/live?source=web"  # so that no screen and no history shows the token
    await page.reload()
    await until(lambda: said_to_watch(page), 20)

    await ingest.send("m1", groupId="acme")
    await until(lambda: page.locator("#rows tr.accepted").count(), 10)
    await ingest.send("m2", properties=7)
    await until(lambda: page.locator("#rows tr.rejected").count(), 10)
    await ingest.send("m3", event="<b>Bold</b>")
    await until(lambda: page.locator("#rows tr.unattributed").count(), 10)

    unattributed, rejected, accepted = await rows(page)
    assert accepted[1:5] == ["accepted", "track Report Shared", "acme", "the event"]
    assert accepted[6:] == ["web", "m1"]
    assert rejected[1] == "rejected"
    assert rejected[2].startswith("wrong_type: properties:")
    assert unattributed[1:5] == ["no account", "track <b>Bold</b>", "", ""]

    # Attribution learns whose it is, and forwards it: the same row says so.
    waiting = [codec.decode(record.value)[1] async for record in scan(topics_of_module, "usage-unattributed")]
    event = next(each for each in waiting if each.get("event_id") == "m3")
    writer = producer(topics_of_module)
    await writer.start()
    forwarded = codec.encoder("usage_event")(event | {"account": "globex", "via": "USER", "forwards": 1})
    await writer.send_and_wait(topics_of_module.scoped("usage-events"), forwarded, key=b"globex")
    await writer.stop()
    await until(lambda: page.locator("#rows tr.attributed").count(), 10)

    attributed, *others = await rows(page)
    assert (attributed[1], attributed[3], attributed[7]) == ("attributed", "globex", "m3")
    assert len(others) == 2
    assert said == []


async def test_it_works_with_the_keyboard_alone(ingest: Ingest, browser: Browser) -> None:
    said: list[str] = []
    page = await opened(browser, f"{ingest.address}/live#token={TOKEN}", said)
    await until(lambda: said_to_watch(page), 20)
    await ingest.send("m1", groupId="acme")
    await until(lambda: page.locator("#rows tr").count(), 10)

    await page.keyboard.press("p")
    assert await page.locator("#pause").get_attribute("aria-pressed") == "true"
    await ingest.send("m2", groupId="acme")
    await until(lambda: _status(page, "1 more not shown"), 10)
    assert len(await rows(page)) == 1
    await page.keyboard.press("p")
    assert "1 more not shown while it was paused" in (await rows(page))[0][0]

    await page.keyboard.press("c")
    assert await rows(page) == []
    await page.keyboard.press("/")
    await page.keyboard.type("app")  # among them a 'p', which pauses nothing here
    await page.keyboard.press("Enter")
    await until(lambda: _status(page, "Watching app"), 10)
    assert await page.locator("#pause").get_attribute("aria-pressed") == "false"
    await ingest.send("m3", groupId="acme")
    await ingest.client.post("/v1/track", json={"event": "x", "userId": "u", "groupId": "acme"}, auth=("other", ""))
    await until(lambda: page.locator("#rows tr").count(), 10)
    assert [row[6] for row in await rows(page)] == ["app"]

    await page.locator("input[value=accepted]").focus()
    for shown in (False, True):
        await page.keyboard.press("Space")
        assert await page.locator("#rows tr.accepted").is_visible() == shown

    await page.keyboard.press("/")
    for wanted in ("source", "BUTTON", "pause", "clear", "accepted"):  # tab goes through what there is to use
        focused = "document.activeElement.id || document.activeElement.value || document.activeElement.tagName"
        assert await page.evaluate(focused) == wanted
        await page.keyboard.press("Tab")
    assert said == []


async def test_the_page_asks_for_the_token_and_an_open_stream_does_not_hold_up_the_end(
    topics_of_module: KafkaSettings, tmp_path: Path, browser: Browser
) -> None:
    async with running(topics_of_module, tmp_path, TIDEMARK_INGEST_LIVE_TOKEN=TOKEN) as closed:
        page = await opened(browser, f"{closed.address}/live", [])
        await until(lambda: page.locator("#token").is_visible(), 10)
        assert "TIDEMARK_INGEST_LIVE_TOKEN" in await page.locator("#status").inner_text()
        assert (await closed.client.get("/live/events")).status_code == 401

        await page.locator("#token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await until(lambda: said_to_watch(page), 20)

        started = time.monotonic()
        assert await closed.process.stop() == 0
        assert time.monotonic() - started < 5
        await until(lambda: _status(page, "Ingest does not answer"), 10)


async def test_another_sites_page_cannot_watch(ingest: Ingest, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto(f"http://localhost:{ingest.process.port}/live/live.css")  # another origin, the same machine

    read = f"fetch('{ingest.address}/live/events').then((answer) => answer.text(), (error) => 'no: ' + error)"
    assert (await page.evaluate(read)).startswith("no: ")


async def test_the_page_may_run_nothing_but_its_own_script(ingest: Ingest) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with ingest.client.stream("GET", "/live/events", auth=httpx.Auth(), headers=bearer) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "access-control-allow-origin" not in stream.headers
    answer = await ingest.client.get("/live", headers={"Origin": "https://evil.example"})
    policy = answer.headers["content-security-policy"]

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert "style=" not in answer.text


async def _status(page: Page, text: str) -> bool:
    return text in await page.locator("#status").inner_text()
