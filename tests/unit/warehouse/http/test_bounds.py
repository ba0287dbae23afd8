"""Questions are bounded in number, and a process whose store is not open yet answers all the same."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import httpx
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from services.cli.local import query_tokens
from services.console.settings import ConsoleSettings
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings, load
from services.warehouse.__main__ import Warehouse
from services.warehouse.domain.erasing import Traces
from services.warehouse.erasing_api import erasing_routes
from services.warehouse.http.answering import AT_ONCE, WAITING, QueryTurns
from services.warehouse.http.app import query_app
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.settings import RetentionSettings, WarehouseSettings
from tests.support.waiting import until


class Slow(MemoryStore):
    """Answers when it is told to, and counts who asks at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.counting = threading.Lock()
        self.asking = self.most = 0

    def totals(self) -> list[dict[str, object]]:
        self._wait()
        return []

    def traces(self, *, user: str = "", account: str = "", linked: bool = False) -> Traces:
        self._wait()
        return super().traces(user=user, account=account, linked=linked)

    def _wait(self) -> None:
        with self.counting:
            self.asking += 1
            self.most = max(self.most, self.asking)
        assert self.go_on.wait(20)
        with self.counting:
            self.asking -= 1


async def test_few_are_asked_at_once_some_wait_and_the_others_are_told_to_come_back() -> None:
    store = Slow()
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        waiting = [asyncio.create_task(client.get("/v1/totals")) for _ in range(AT_ONCE + WAITING)]
        await until(lambda: store.asking == AT_ONCE)
        over = await client.get("/v1/totals")
        store.go_on.set()
        answers = await asyncio.gather(*waiting)
        after = await client.get("/v1/totals")

    assert (over.status_code, over.json()["code"], over.headers["Retry-After"]) == (503, "busy", "2")
    assert {answer.status_code for answer in answers} == {200}
    assert store.most == AT_ONCE
    assert after.status_code == 200


async def test_traces_take_turns_with_the_questions() -> None:
    store, turns = Slow(), QueryTurns()
    metrics = WarehouseMetrics(CollectorRegistry())
    app = query_app(lambda: store, metrics, more=erasing_routes(lambda: store, turns), turns=turns)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        paths = [f"/v1/traces/people/u{number}" for number in range(AT_ONCE + WAITING)]
        waiting = [asyncio.create_task(client.get(path)) for path in paths]
        await until(lambda: store.asking == AT_ONCE)
        over = [await client.get(path) for path in ("/v1/totals", "/v1/traces/accounts/acme")]
        store.go_on.set()
        answers = await asyncio.gather(*waiting)

    assert [(answer.status_code, answer.json()["code"]) for answer in over] == [(503, "busy")] * 2
    assert {answer.status_code for answer in answers} == {200}
    assert store.most == AT_ONCE


async def test_whoever_leaves_gives_up_the_place_with_the_end_of_the_question() -> None:
    store = Slow()
    app = query_app(lambda: store, WarehouseMetrics(CollectorRegistry()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        gone = [asyncio.create_task(client.get("/v1/totals")) for _ in range(AT_ONCE + WAITING)]
        await until(lambda: store.asking == AT_ONCE)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        store.go_on.set()
        answers = [await client.get("/v1/totals") for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert store.most <= AT_ONCE


def test_a_process_whose_store_is_not_open_answers_operators_and_tells_others_to_come_back(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    token = query_tokens.add(file, "console")
    settings = load(WarehouseSettings, query_tokens_file=file, query_cors_origins="https://app.example.com")
    client = TestClient(
        Warehouse(
            load(KafkaSettings), load(ProcessSettings), settings, load(RetentionSettings), load(ConsoleSettings)
        ).application()
    )
    bearer = {"Authorization": f"Bearer {token}", "Origin": "https://app.example.com"}

    asked = client.get("/v1/today", headers=bearer)

    assert (asked.status_code, asked.json()["code"]) == (503, "unavailable")
    assert asked.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert client.get("/v1/today").status_code == 401
    assert client.get("/openapi.json", headers=bearer).status_code == 200
    assert client.get("/v1/nothing", headers=bearer).status_code == 404
    assert client.get("/readyz").json()["reason"] == "the store is not open yet"
    assert client.get("/metrics").status_code == 200
    assert "io.tidemark.Signal" in client.get("/subjects").json()
