"""Questions are bounded in number, and a process whose store is not open yet answers all the same."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from services.cli.local import query_tokens
from services.console.settings import ConsoleSettings
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings, load
from services.warehouse.__main__ import Warehouse
from services.warehouse.domain.erasing import Traces
from services.warehouse.http.app import query_app
from services.warehouse.http.erasing import erasing_routes
from services.warehouse.http.guard import Guard
from services.warehouse.http.tokens import Tokens
from services.warehouse.http.turns import AT_ONCE, AT_ONCE_EACH, WAITING, WAITING_EACH, Busy, QueryTurns
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


class Questions:
    """Questions of several tokens, each of which waits until it is told to go on."""

    def __init__(self) -> None:
        self.turns = QueryTurns()
        self.begun: list[str] = []
        self._open: dict[str, threading.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def ask(self, token: str, count: int = 1) -> None:
        for number in range(count):
            name = f"{token}{len(self._open)}" if number or token in self._open else token
            self._open[name] = threading.Event()
            self.tasks.append(asyncio.create_task(self.turns.take(partial(self._run, name), token)))

    def _run(self, name: str) -> None:
        self.begun.append(name)
        assert self._open[name].wait(20)

    def end(self, name: str) -> None:
        self._open[name].set()

    async def end_all(self) -> None:
        for each in self._open.values():
            each.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_a_token_with_many_questions_leaves_a_place_for_others() -> None:
    questions = Questions()
    questions.ask("notebook", 10)
    await until(lambda: len(questions.begun) == AT_ONCE_EACH)
    questions.ask("console")
    await until(lambda: "console" in questions.begun)

    assert len(questions.begun) == AT_ONCE
    await questions.end_all()
    assert len(questions.begun) == 11


async def test_a_place_that_is_free_goes_to_the_token_with_the_fewest_questions_under_way() -> None:
    questions = Questions()
    questions.ask("notebook", 10)
    questions.ask("console", 2)
    await until(lambda: len(questions.begun) == AT_ONCE)
    questions.end("notebook")
    await until(lambda: len(questions.begun) == AT_ONCE + 1)

    assert questions.begun[-1].startswith("console")
    await questions.end_all()


async def test_a_token_takes_half_of_the_room_to_wait_and_no_more() -> None:
    questions = Questions()
    questions.ask("notebook", AT_ONCE_EACH + WAITING_EACH)
    await until(lambda: len(questions.begun) == AT_ONCE_EACH)

    with pytest.raises(Busy, match="with the token notebook"):
        await questions.turns.take(lambda: None, "notebook")
    assert await questions.turns.take(lambda: "answered", "console") == "answered"
    await questions.end_all()
    assert await questions.turns.take(lambda: "again", "notebook") == "again"


async def test_whoever_leaves_while_waiting_leaves_no_place_taken() -> None:
    questions = Questions()
    questions.ask("notebook", AT_ONCE_EACH + WAITING_EACH)
    await until(lambda: len(questions.begun) == AT_ONCE_EACH)
    for task in questions.tasks[AT_ONCE_EACH:]:
        task.cancel()
    await asyncio.gather(*questions.tasks[AT_ONCE_EACH:], return_exceptions=True)
    questions.ask("notebook", WAITING_EACH)
    await questions.end_all()

    assert len(questions.begun) == AT_ONCE_EACH + WAITING_EACH


async def test_the_name_of_its_token_says_whose_a_question_is(tmp_path: Path) -> None:
    store, file = Slow(), tmp_path / "tokens.yaml"
    bearers = [{"Authorization": f"Bearer {query_tokens.add(file, name)}"} for name in ("notebook", "console")]
    metrics = WarehouseMetrics(CollectorRegistry())
    turns = QueryTurns()
    api = query_app(lambda: store, metrics, more=erasing_routes(lambda: store, turns), turns=turns)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(Guard(api, Tokens(file), metrics)), base_url="http://x"
    ) as client:
        paths = ["/v1/totals", "/v1/traces/accounts/acme"] * AT_ONCE
        notebook = [asyncio.create_task(client.get(path, headers=bearers[0])) for path in paths]
        await until(lambda: store.asking == AT_ONCE_EACH)
        console = asyncio.create_task(client.get("/v1/totals", headers=bearers[1]))
        await until(lambda: store.asking == AT_ONCE)
        store.go_on.set()
        answers = await asyncio.gather(*notebook, console)

    assert {answer.status_code for answer in answers} == {200}


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
