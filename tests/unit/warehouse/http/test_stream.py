"""Streams tell what is stored, go on where they ended, and end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from services.shared.errors import Retryable
from services.shared.http.server import serving
from services.warehouse.domain.rows import Place
from services.warehouse.http import feed as feeds
from services.warehouse.http import stream as streams
from services.warehouse.http.app import query_app
from services.warehouse.http.feed import Feed
from services.warehouse.http.tokens import TOKEN_NAME
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.support.health_rows import forgotten
from tests.support.waiting import until
from tests.unit.warehouse.http.asking import health, signal

Event = tuple[str, str, Any]


class Served:
    """A running query API whose store tells of its rows."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.registry = CollectorRegistry()
        self.feed = Feed(lambda: self.store)
        self.app = query_app(lambda: self.store, WarehouseMetrics(self.registry), feed=self.feed)
        self.address = ""

    def stored(self, *rows: tuple[str, Any]) -> None:
        by_table: dict[str, list[Any]] = {}
        for table, row in rows:
            by_table.setdefault(table, []).append(row)
        for table, several in by_table.items():
            self.store.insert(table, several)
        self.feed.publish(by_table)

    def listeners(self) -> float | None:
        return self.registry.get_sample_value("tidemark_warehouse_stream_listeners")

    @asynccontextmanager
    async def listening(self, query: str = "", last: str = "") -> AsyncIterator[Any]:
        headers = {"Last-Event-ID": last} if last else {}
        async with (
            httpx.AsyncClient(timeout=10) as client,
            client.stream("GET", f"{self.address}/v1/stream{query}", headers=headers) as answer,
        ):
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.aiter_lines()

            async def following() -> Event:
                async with asyncio.timeout(10):
                    found: dict[str, str] = {}
                    async for line in lines:
                        if not line and found:
                            return found["event"], found["id"], json.loads(found["data"])
                        name, _, value = line.partition(": ")
                        if name in ("event", "id", "data"):
                            found[name] = value
                raise EOFError

            yield following


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    async with serving(made.app, "127.0.0.1", 0) as port:
        made.address = f"http://127.0.0.1:{port}"
        yield made
        made.feed.close()


async def test_health_and_signals_are_told_in_the_form_of_the_lists(served: Served) -> None:
    async with served.listening() as following:
        assert (await following())[0] == "ready"
        served.stored(health(1, "acme", score_tenths=1), health(2, "acme", score_tenths=120), signal(1, "acme"))
        told = [await following(), await following()]
        served.stored(("account_health", forgotten(Place("account-health", 0, 3, 0), "acme")))
        told.append(await following())

    async with httpx.AsyncClient(base_url=served.address) as client:
        signals = (await client.get("/v1/signals")).json()["signals"]
    assert [name for name, _, _ in told] == ["health", "signal", "forgotten"]
    assert (told[0][2]["score"], told[0][2]["open_signals"]["warning"]) == (12.0, 1)
    assert told[1][2] == signals[0]
    assert told[2][2] == {"account": "acme"}


@pytest.mark.parametrize("by_header", [True, False])
async def test_whoever_comes_back_goes_on_after_the_last_event(served: Served, by_header: bool) -> None:
    async with served.listening() as following:
        served.stored(health(1, "a"))
        events = [await following()]
        while events[-1][0] != "health":
            events.append(await following())
    served.stored(health(2, "b"), health(3, "c"))

    last = events[-1][1]
    async with served.listening(*(("", last) if by_header else (f"?after={last}", ""))) as following:
        told = [await following() for _ in range(3)]

    assert [(name, data.get("account")) for name, _, data in told] == [
        ("ready", None),
        ("health", "b"),
        ("health", "c"),
    ]


@pytest.mark.parametrize("last", ["other-1", "nonsense", "-", "x" * 999])
async def test_whoever_comes_back_to_another_process_reloads(served: Served, last: str) -> None:
    served.stored(health(1, "a"))
    async with served.listening(last=last) as following:
        assert (await following())[0] == "reload"
        served.stored(health(2, "b"))
        assert (await following())[2]["account"] == "b"


async def test_whoever_is_too_far_behind_reloads(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.stored(health(1, "a"))
    first = served.feed.cursor(0)
    served.stored(*[health(n, f"a{n}") for n in range(feeds.HELD + 5)])

    async with served.listening(last=first) as following:
        assert (await following())[0] == "reload"
    assert served.feed.position(served.feed.cursor(served.feed.last + 1)) is None


async def test_one_account_is_told_of_alone(served: Served) -> None:
    async with served.listening("?account=b") as following:
        await following()
        served.stored(health(1, "a"), health(2, "b"), signal(1, "a"))
        assert (await following())[2]["account"] == "b"


async def test_many_news_are_told_in_their_order(served: Served) -> None:
    names = [f"a{n}" for n in range(170)]
    async with served.listening() as following:
        await following()
        served.stored(*[health(n, name) for n, name in enumerate(names)])
        assert [(await following())[2]["account"] for _ in names] == names


async def test_streams_are_bounded_and_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LISTENERS", 2)
    async with served.listening() as one, served.listening() as other:
        await one()
        await other()
        assert served.listeners() == 2
        async with httpx.AsyncClient() as client:
            refused = await client.get(f"{served.address}/v1/stream")
        assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "busy", "30")

    await until(lambda: served.listeners() == 0)


async def test_one_token_leaves_streams_for_others(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LISTENERS_EACH", 1)
    all_of_them = streams.Streams(served.feed, WarehouseMetrics(CollectorRegistry()))

    async def status(token: str | None) -> int:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "query_string": b"", "headers": [], TOKEN_NAME: token}
        return (await all_of_them.answer(Request(scope))).status_code

    with all_of_them._counted("notebook"), all_of_them._counted(""):
        assert [await status(token) for token in ("notebook", "console", None)] == [503, 200, 200]
    assert await status("notebook") == 200


async def test_a_quiet_stream_says_that_it_is_alive_and_ends_in_time(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "QUIET_S", 0.05)
    monkeypatch.setattr(streams, "LIFETIME_S", 0.3)

    async with httpx.AsyncClient(timeout=10) as client:
        whole = await client.get(f"{served.address}/v1/stream")

    assert whole.text.startswith("event: ready\n")
    assert whole.text.count(":\n\n") >= 2


async def test_streams_end_with_the_process(served: Served) -> None:
    async with served.listening() as following:
        await following()
        served.feed.close()
        with pytest.raises(EOFError):
            await following()


async def test_while_the_store_is_away_nothing_is_lost(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Retryable("away", 0.05)])
    ask = served.store.open_signals

    def flaky(*given: Any) -> Any:
        for error in answers:
            raise error
        return ask(*given)

    monkeypatch.setattr(served.store, "open_signals", flaky)
    async with served.listening() as following:
        await following()
        served.stored(health(1, "a"))
        assert (await following())[2]["account"] == "a"


async def test_a_wrong_parameter_of_a_stream_is_named(served: Served) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{served.address}/v1/stream?acount=x")
        head = await client.head(f"{served.address}/v1/stream")

    assert (head.status_code, served.listeners()) == (200, 0)
    assert (answer.status_code, answer.json()["field"]) == (400, "acount")
