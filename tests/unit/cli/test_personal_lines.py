"""The rows of a person, as the tool reads them from the warehouse's own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette

from services.cli.erasing.rows import personal_lines
from services.cli.erasing.traces import QueryAccess
from services.shared.errors import Fatal, Rejected, Retryable, TidemarkError
from services.shared.http.server import serving
from services.warehouse.domain.disclosure import PERSONAL_TABLES
from services.warehouse.domain.exports import Selection
from services.warehouse.http.exporting import exporting_routes

JO = "u_Zk3vJb0yqk2XxQ5nVbLd"


class Rows:
    """Gives each table two rows, in pieces that end amid a row; or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def export(self, wanted: Selection) -> Iterator[bytes]:
        del wanted
        if self._error:
            raise self._error
        yield b'{"n":1}\n{"n"'
        yield b":2}\n"


async def lines(store: Rows) -> list[dict[str, object]]:
    async with serving(Starlette(routes=exporting_routes(lambda: store)), "127.0.0.1", 0) as port:
        warehouse = QueryAccess(f"http://127.0.0.1:{port}", None)
        return await asyncio.to_thread(lambda: list(personal_lines(warehouse, [JO], busy_s=0.0)))


async def test_each_row_comes_with_its_table_however_the_answer_is_cut() -> None:
    assert await lines(Rows()) == [{"table": table, "n": number} for table in PERSONAL_TABLES for number in (1, 2)]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (Rejected("too_much", "view", "takes more memory than the engine may take"), Fatal, "takes more memory"),
        (Retryable("the disk of the store has no room for the file"), Retryable, "has no room for the file"),
    ],
)
async def test_what_keeps_a_table_from_being_told_says_so_itself(
    error: Exception, kind: type[TidemarkError], said: str
) -> None:
    with pytest.raises(kind, match=said) as raised:
        await lines(Rows(error))
    assert "not all" in str(raised.value)


async def test_that_somebody_else_exports_is_told_and_not_taken_for_a_clickhouse_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    busy = b'{"code":"busy","detail":"another export runs; try again once it is over"}'
    answers = httpx.MockTransport(lambda _: httpx.Response(503, content=busy))
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **given: client(**given, transport=answers))

    with pytest.raises(Retryable, match="another export runs") as raised:
        list(personal_lines(QueryAccess("http://127.0.0.1:8081", None), [JO], busy_s=0.0))
    assert "not all" in str(raised.value)
