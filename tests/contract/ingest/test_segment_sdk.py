"""The real Segment SDK for Python writes to us and finds nothing to complain about."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from segment.analytics.client import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("gzipped", [False, True])
async def test_the_python_sdk_delivers_every_kind_of_call(ingest: Any, gzipped: bool) -> None:
    errors: list[Any] = []

    def send() -> None:
        client = Client(
            "wk",
            host=f"http://127.0.0.1:{ingest.port}",
            gzip=gzipped,
            on_error=lambda error, _items: errors.append(error),
            upload_interval=0.05,
        )
        acme = {"groupId": "acme"}
        client.identify("ann", {"name": "Ann"}, context=acme)
        client.group("ann", "acme", {"plan": "pro", "seats": 12})
        client.track("ann", "Report Exported", {"rows": 3}, context=acme)
        client.page("ann", "docs", "Start", {"url": "https://x.example"}, context=acme)
        client.screen("ann", "docs", "Home", context=acme)
        client.alias("anon-1", "ann", context=acme)
        client.flush()
        client.join()

    await asyncio.to_thread(send)

    assert not errors
    assert [event["kind"] for event in ingest.events()] == ["IDENTIFY", "GROUP", "TRACK", "PAGE", "SCREEN", "ALIAS"]
    assert {event["account"] for event in ingest.events()} == {"acme"}
    assert {event["id_source"] for event in ingest.events()} == {"CLIENT"}
    assert all(abs(event["skew_ms"]) < 5_000 for event in ingest.events())


async def test_the_python_sdk_waits_and_repeats_when_pushed_back(ingest: Any) -> None:
    ingest.log.refuse("the broker is away")
    client = Client("wk", host=f"http://127.0.0.1:{ingest.port}", upload_interval=0.05)
    client.track("ann", "Opened", context={"groupId": "acme"})

    def refused() -> float:
        return float(
            ingest.metrics.registry.get_sample_value(
                "tidemark_ingest_requests_total", {"endpoint": "batch", "status": "429"}
            )
            or 0
        )

    for _ in range(500):
        if refused():
            break
        await asyncio.sleep(0.01)
    ingest.log.accept()
    await asyncio.to_thread(client.flush)
    await asyncio.to_thread(client.join)

    assert refused() >= 1
    assert [event["name"] for event in ingest.events()] == ["Opened"]
