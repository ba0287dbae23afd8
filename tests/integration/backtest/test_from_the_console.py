"""A back-test that a reader starts on the console's page speaks that reader's language, whoever reads it then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from services.console.settings import ConsoleSettings
from tests.support.console import app_over, filled
from tests.support.stopped_customers import LOST_ON, write_events
from tests.support.waiting import until

PORTUGUESE = {"cookie": "tidemark_language=pt"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = ConsoleSettings(history=str(write_events(tmp_path / "events.csv")))
    transport = httpx.ASGITransport(app_over(filled(["acme"]), settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as opened:
        yield opened


async def test_its_first_lines_what_was_left_out_and_the_report_are_in_the_language_of_who_started_it(
    client: httpx.AsyncClient,
) -> None:
    lost = f"account,date\nc0,{LOST_ON}\nc1,{LOST_ON - timedelta(days=5)}\nc2,soon\n"

    started = await client.post("/right", files={"lost": ("lost.csv", lost.encode())}, headers=PORTUGUESE)
    assert started.status_code == 303
    await until(lambda: _has_ended(client), 150)

    page = (await client.get("/right")).text  # in English, of a reader who said nothing
    assert "The latest back-test" in page
    assert (
        '<blockquote class="headline" lang="pt"><p>Das suas 2 contas perdidas, o Tidemark teria assinalado 2, em mediana'
        in page
    )
    assert "lost.csv: 1 linha ficou de fora, usam-se 2:" in page
    assert "linha 4: date &#39;soon&#39; não é uma data" in page
    report = (await client.get("/right/report")).text
    assert '<html lang="pt">' in report
    assert "<h1>Teste sobre o passado</h1>" in report
    assert "Feito por tidemark backtest events.csv --outcomes lost.csv com as regras" in report


async def _has_ended(client: httpx.AsyncClient) -> bool:
    return "<progress" not in (await client.get("/right")).text
