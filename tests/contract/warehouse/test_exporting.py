"""Views as files: what the embedded engine and a server write is what the view says, in every format."""

from __future__ import annotations

import asyncio
import csv
import json
import socket
import threading
from collections.abc import Iterator
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx
import pytest
import urllib3
from clickhouse_connect.driver.client import Client
from starlette.applications import Starlette

from services.shared.errors import Rejected, Retryable
from services.warehouse import exporting
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.exports import export_of
from services.warehouse.exporting import ClickHouseExporting
from services.warehouse.http.exporting import exporting_routes
from services.warehouse.views import VIEWS
from tests.contract.warehouse.made_history import history
from tests.support.waiting import until


@pytest.fixture(scope="module", params=["embedded", "server"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseStore]:
    if request.param == "server":
        store: ClickHouseStore = request.getfixturevalue("opened_server")
    else:
        store = open_embedded(tmp_path_factory.mktemp("export") / "clickhouse", "tidemark")
    for table, rows in history().rows.items():
        store.insert(table, rows)
    yield store
    if request.param == "embedded":
        store.close()


def count(store: ClickHouseStore, view: str, where: str = "true") -> int:
    return int(store._writer.query(f"SELECT count() FROM {view} WHERE {where}").result_rows[0][0])


@pytest.mark.parametrize("view", VIEWS)
def test_a_parquet_file_has_the_columns_and_rows_of_its_view(
    filled: ClickHouseStore, view: str, tmp_path: Path
) -> None:
    file = tmp_path / "export.parquet"

    file.write_bytes(b"".join(filled.export(export_of(view, {}))))

    columns = filled._writer.query(f"SELECT * FROM {view} LIMIT 0").column_names
    if filled.files:  # the embedded engine can read what lies here
        described = filled._writer.query(f"DESCRIBE file('{file}', Parquet)").result_rows
        assert [row[0] for row in described] == list(columns)
        assert count(filled, f"file('{file}', Parquet)") == count(filled, view) > 2
    raw = file.read_bytes()
    assert (raw[:4], raw[-4:]) == (b"PAR1", b"PAR1")
    assert all(name.encode() in raw for name in columns)


def test_csv_and_ndjson_say_the_same(filled: ClickHouseStore) -> None:
    table = list(
        csv.DictReader(StringIO(b"".join(filled.export(export_of("health_by_day", {"format": "csv"}))).decode()))
    )
    lines = [
        json.loads(line)
        for line in b"".join(filled.export(export_of("health_by_day", {"format": "ndjson"}))).splitlines()
    ]

    assert len(table) == len(lines) == count(filled, "health_by_day")
    assert {(row["account"], row["date"], float(row["score"])) for row in table} == {
        (row["account"], row["date"], row["score"]) for row in lines
    }


def test_what_is_not_known_is_an_empty_cell_of_csv(filled: ClickHouseStore) -> None:
    def exported(format_: str) -> bytes:
        return b"".join(filled.export(export_of("accounts_today", {"format": format_})))

    known = [json.loads(line) for line in exported("ndjson").splitlines()]
    unknown = {name for row in known for name, value in row.items() if value is None}

    assert unknown
    assert b"\\N" not in exported("csv")
    cells = {row["account"]: row for row in csv.DictReader(StringIO(exported("csv").decode()))}
    assert all(cells[row["account"]][name] == "" for row in known for name in unknown if row[name] is None)


def test_a_part_begins_and_ends_with_the_days_that_were_named(filled: ClickHouseStore) -> None:
    wanted = export_of("health_by_day", {"from": "2024-11-01", "until": "2024-11-30", "format": "ndjson"})

    days = {json.loads(line)["date"] for line in b"".join(filled.export(wanted)).splitlines()}

    assert (min(days), max(days), len(days)) == ("2024-11-01", "2024-11-30", 30)


def test_a_part_without_rows_is_a_whole_file(filled: ClickHouseStore) -> None:
    wanted = {"from": "1990-01-01", "until": "1990-01-02"}

    parquet = b"".join(filled.export(export_of("health_by_day", wanted)))

    assert (parquet[:4], parquet[-4:]) == (b"PAR1", b"PAR1")
    assert b"".join(filled.export(export_of("health_by_day", {**wanted, "format": "ndjson"}))) == b""


def test_no_file_and_no_connection_is_left_behind(filled: ClickHouseStore) -> None:
    pieces = filled.export(export_of("health_by_day", {}))
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]

    if filled.files:
        assert list(filled.files.glob("export-*")) == []
    assert len(b"".join(filled.export(export_of("accounts_today", {})))) > 0


@pytest.mark.parametrize("format_", ["parquet", "csv", "ndjson"])
def test_an_export_that_fails_in_the_engine_is_no_file_with_its_error_at_the_end(
    filled: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, format_: str
) -> None:
    monkeypatch.setitem(exporting._SETTINGS, "max_rows_to_read", 10)

    with pytest.raises(Retryable, match="TOO_MANY_ROWS"):
        b"".join(filled.export(export_of("health_by_day", {"format": format_})))


class Large(NamedTuple):
    """Rows that take some 400 MB."""

    query: str = "SELECT length(groupArray(number)) AS numbers FROM numbers(20000000)"
    format: str = "JSONEachRow"
    fewer_days_take_less: bool = False


@pytest.mark.parametrize(("memory_mb", "fits"), [(300, False), (1_600, True)])
def test_an_export_may_take_half_of_what_the_embedded_engine_may(tmp_path: Path, memory_mb: int, fits: bool) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark", memory_mb)
    try:
        if fits:
            assert json.loads(b"".join(store.export(Large()))) == {"numbers": 20_000_000}
        else:
            with pytest.raises(Rejected, match=r"the 150 MB .* may take: raise TIDEMARK_WAREHOUSE_MEMORY_MB$"):
                b"".join(store.export(Large()))
    finally:
        store.close()


@pytest.mark.parametrize(("view", "by_day"), [("health_by_day", True), ("feature_adoption", False)])
def test_an_export_that_takes_too_much_is_told_only_what_helps(
    filled: ClickHouseStore, monkeypatch: pytest.MonkeyPatch, view: str, by_day: bool
) -> None:
    """Of cohorts, fewer take as much. The setting of the embedded engine is nothing to a server."""
    monkeypatch.setattr(filled, "memory_bytes", 4_096, raising=False)

    with pytest.raises(Rejected) as refused:
        b"".join(filled.export(export_of(view, {})))

    assert refused.value.code == "too_much"
    assert ("export fewer days at a time" in refused.value.detail) == by_day
    assert ("TIDEMARK_WAREHOUSE_MEMORY_MB" in refused.value.detail) == (filled.files is not None)


class Cut(ClickHouseExporting):
    """A store on a server of which an answer breaks off."""

    files = None

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._answer, daemon=True).start()
        self.connect = lambda: cast(Client, self)

    def _answer(self) -> None:
        with self._listening, self._listening.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nacme,\r\n")

    def raw_stream(self, *_: Any, **__: Any) -> urllib3.BaseHTTPResponse:
        address = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        return urllib3.request("GET", address, preload_content=False)

    def close(self) -> None:
        """Nothing is held."""


def test_an_answer_that_breaks_off_is_told_as_a_server_that_is_away() -> None:
    with pytest.raises(Retryable, match="ClickHouse"):
        b"".join(Cut().export(export_of("accounts_today", {"format": "csv"})))


@pytest.mark.parametrize(
    ("name", "parameters", "field"),
    [
        ("events; DROP TABLE events", {}, "view"),
        ("events", {}, "view"),
        ("health_by_day", {"format": "xlsx"}, "format"),
        ("health_by_day", {"from": "2024-13-01"}, "from"),
        ("health_by_day", {"until": "') OR 1=1 --"}, "until"),
        ("health_by_day", {"from": "2025-01-02", "until": "2025-01-01"}, "until"),
        ("accounts_today", {"from": "2025-01-02"}, "from"),
        ("health_by_day", {"where": "1"}, "where"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_its_name(name: str, parameters: dict[str, str], field: str) -> None:
    with pytest.raises(Rejected) as refused:
        export_of(name, parameters)

    assert refused.value.field == field


def test_days_of_a_part_are_days(filled: ClickHouseStore) -> None:
    assert export_of("support_load", {"from": "2025-01-02"}).first == date(2025, 1, 2)


class Slow:
    """An exporter whose second piece waits."""

    def __init__(self) -> None:
        self.started, self.go_on = threading.Event(), threading.Event()
        self.closed = 0

    def export(self, wanted: Any) -> Iterator[bytes]:
        try:
            self.started.set()
            yield b"one"
            self.go_on.wait(30)
            yield b"two"
        finally:
            self.closed += 1


async def test_one_export_runs_at_a_time_and_the_next_may_start_when_it_is_over() -> None:
    slow = Slow()
    app = Starlette(routes=exporting_routes(lambda: slow))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warehouse") as client:
        first = asyncio.create_task(client.get("/v1/export/accounts_today"))
        await until(slow.started.is_set)
        second = await client.get("/v1/export/accounts_today")
        slow.go_on.set()
        assert (await first).content == b"onetwo"
        third = await client.get("/v1/export/accounts_today")

    assert (second.status_code, second.headers["Retry-After"]) == (503, "30")
    assert third.content == b"onetwo"
    assert slow.closed == 2


async def test_a_store_that_is_away_is_503_and_the_next_export_may_start() -> None:
    def away() -> Any:
        raise Retryable("away")

    app = Starlette(routes=exporting_routes(away))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://warehouse") as client:
        for _ in range(2):
            answer = await client.get("/v1/export/accounts_today")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert (await client.get("/v1/export/nothing")).status_code == 404
