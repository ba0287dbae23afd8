"""The sender goes on until ingest has answered for each batch, waits as long as it asks for, and keeps the order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.backfill.mapping import TimedCall
from services.backfill.sender import IngestRefuses, IngestSender
from services.shared.errors import Retryable
from services.shared.http.server import serving


class Ingest:
    """Answers batches as a test wants, and remembers what it got."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[Response] = []
        """Given in turn; afterwards everything is accepted."""
        self.url = ""

    async def batch(self, request: Request) -> Response:
        calls = (await request.json())["batch"]
        await asyncio.sleep(0)
        if self.answers:
            return self.answers.pop(0)
        self.batches.append(calls)
        self.headers.append(dict(request.headers))
        return JSONResponse({"accepted": len(calls), "unattributed": 0, "rejected": 0, "results": []})


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    """Yield a server that stands for ingest."""
    stand_in = Ingest()
    app = Starlette(routes=[Route("/v1/batch", stand_in.batch, methods=["POST"])])
    async with serving(app, "127.0.0.1", 0) as port:
        stand_in.url = f"http://127.0.0.1:{port}"
        yield stand_in


def calls(count: int, accounts: int = 3) -> list[TimedCall]:
    """Calls of some accounts, numbered."""
    return [
        TimedCall(number, {"messageId": str(number), "context": {"groupId": f"a{number % accounts}"}})
        for number in range(count)
    ]


async def test_all_calls_arrive_once_and_those_of_an_account_in_order(ingest: Ingest) -> None:
    async with IngestSender(ingest.url, "key", batch=7) as sender:
        await sender.send(calls(100), epoch=5)

    arrived = [call for batch in ingest.batches for call in batch]
    assert sorted(int(call["messageId"]) for call in arrived) == list(range(100))
    for account in ("a0", "a1", "a2"):
        numbers = [int(call["messageId"]) for call in arrived if call["context"]["groupId"] == account]
        assert numbers == sorted(numbers)
    assert {(each["tidemark-epoch"], each["tidemark-historical"]) for each in ingest.headers} == {("5", "true")}
    assert sender.tally.accepted == 100


async def test_what_breaks_the_tracking_plan_is_counted_and_named(ingest: Ingest) -> None:
    warnings = [{"code": "plan_wrong_value", "field": "properties.to", "detail": "send a later day"}]
    result = {"index": 1, "message_id": "1", "verdict": "accepted", "warnings": warnings}
    told = {"accepted": 3, "unattributed": 0, "rejected": 0, "results": [result], "broke_plan": 1}
    ingest.answers = [JSONResponse(told)]

    async with IngestSender(ingest.url, "key") as sender:
        await sender.send(calls(3))

    assert (sender.tally.accepted, sender.tally.rejected, sender.tally.broke_plan) == (3, 0, 1)
    assert sender.tally.warnings == ["1: plan_wrong_value: properties.to: send a later day"]


async def test_large_calls_are_sent_in_smaller_batches(ingest: Ingest) -> None:
    large = [TimedCall(at, {**call, "note": "x" * 900_000}) for at, call in calls(10)]
    async with IngestSender(ingest.url, "key", batch=500) as sender:
        await sender.send(large)

    assert [len(batch) for batch in ingest.batches] == [3, 3, 3, 1]
    assert [call for batch in ingest.batches for call in batch] == [call for _, call in large]


async def test_what_ingest_says_of_a_request_is_not_taken_for_a_matter_of_the_key(ingest: Ingest) -> None:
    ingest.answers = [Response("the body is too large", 413)]
    async with IngestSender(ingest.url, "key") as sender:
        with pytest.raises(IngestRefuses) as refused:
            await sender.send(calls(1))

    assert str(refused.value) == "ingest answers 413: the body is too large"


async def test_live_calls_carry_no_backfill_headers(ingest: Ingest) -> None:
    async with IngestSender(ingest.url, "key", historical=False) as sender:
        await sender.send(calls(1))

    assert "tidemark-epoch" not in ingest.headers[0]


async def test_a_batch_that_is_pushed_back_is_sent_again_after_the_time_that_was_asked_for(ingest: Ingest) -> None:
    ingest.answers = [Response(status_code=429, headers={"Retry-After": "1"}), Response(status_code=503)]
    started = time.monotonic()

    async with IngestSender(ingest.url, "key") as sender:
        await sender.send(calls(2))

    assert time.monotonic() - started >= 1
    assert [len(batch) for batch in ingest.batches] == [2]


async def test_a_server_that_never_answers_well_ends_the_run_with_its_last_words(ingest: Ingest) -> None:
    ingest.answers = [Response("kafka is away", status_code=503) for _ in range(100)]

    async with IngestSender(ingest.url, "key", patience_s=0.3) as sender:
        with pytest.raises(Retryable, match="kafka is away"):
            await sender.send(calls(1))


async def test_a_refused_write_key_is_said_at_once_with_what_to_do(ingest: Ingest) -> None:
    ingest.answers = [JSONResponse({"code": "backfill_not_allowed"}, status_code=403)]

    async with IngestSender(ingest.url, "key") as sender:
        with pytest.raises(IngestRefuses, match="keys create --client server --backfill"):
            await sender.send(calls(1))


async def test_rejected_calls_are_counted_and_named(ingest: Ingest) -> None:
    verdict = {"index": 1, "message_id": "1", "verdict": "rejected", "code": "bad_type", "field": "event"}
    ingest.answers = [JSONResponse({"accepted": 2, "unattributed": 1, "rejected": 1, "results": [verdict]})]

    async with IngestSender(ingest.url, "key") as sender:
        await sender.send(calls(3))

    assert (sender.tally.accepted, sender.tally.unattributed, sender.tally.rejected) == (1, 1, 1)
    assert sender.tally.rejections == ["1: bad_type: event"]


async def test_readiness_waits_until_the_key_is_known(ingest: Ingest) -> None:
    ingest.answers = [Response(status_code=401)]

    async with IngestSender(ingest.url, "key") as sender:
        await sender.ready(within_s=5)

    assert ingest.answers == []
    assert ingest.batches == [[]]


async def test_readiness_waits_for_ingest_behind_a_proxy(ingest: Ingest) -> None:
    ingest.answers = [Response("Bad Gateway", 502)]

    async with IngestSender(ingest.url, "key") as sender:
        await sender.ready(within_s=5)

    assert ingest.batches == [[]]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Response("<html>Hello</html>"), "is not ingest: '<html>Hello</html>'. Correct TIDEMARK_INGEST_URL"),
        (Response("no", 404), "answers 404: no"),
    ],
)
async def test_what_is_not_ingest_is_told_before_the_clock_is_taken(
    ingest: Ingest, answer: Response, told: str
) -> None:
    ingest.answers = [answer]
    async with IngestSender(ingest.url, "key") as sender:
        with pytest.raises(IngestRefuses, match=told):
            await sender.ready(within_s=5)


async def test_a_refusal_of_many_calls_says_as_much_as_one_of_a_few(ingest: Ingest) -> None:
    """The batches travel side by side; the tool shows the error of one, not a group of errors."""
    ingest.answers = [Response("no", 403) for _ in range(10)]
    async with IngestSender(ingest.url, "k", batch=2) as sender:
        with pytest.raises(IngestRefuses, match="keys create --client server --backfill"):
            await sender.send(calls(10))


async def test_nobody_who_answers_is_told_with_what_to_do() -> None:
    async with IngestSender("http://127.0.0.1:9", "key", patience_s=0.2) as sender:
        with pytest.raises(
            Retryable, match=r"nobody answers at http://127.0.0.1:9/v1/batch .*run the same command again"
        ):
            await sender.send([TimedCall(1, {"type": "track", "event": "A", "userId": "kim"})])
