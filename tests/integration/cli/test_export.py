"""`tidemark export` against a served warehouse: a whole file, or none and a word what to do."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from services.shared.http.server import serving
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.http.exporting import exporting_routes
from tests.contract.warehouse.stored import health

pytestmark = pytest.mark.integration


@pytest.fixture
async def warehouse(tmp_path: Path) -> AsyncIterator[tuple[ClickHouseStore, str]]:
    store = open_embedded(tmp_path / "store" / "clickhouse", "tidemark")
    store.insert("account_health", [health(n, f"account-{n:03}", day=20_000 + n) for n in range(200)])
    async with serving(Starlette(routes=exporting_routes(lambda: store)), "127.0.0.1", 0) as port:
        yield store, f"http://127.0.0.1:{port}"
    store.close()


async def export(address: str, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", "export", *arguments,
        env=os.environ | {"TIDEMARK_WAREHOUSE_URL": address},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_a_view_is_written_whole_and_only_the_days_that_were_named(
    warehouse: tuple[ClickHouseStore, str], tmp_path: Path
) -> None:
    store, address = warehouse
    file = tmp_path / "it's 100 % health.parquet"

    status, out = await export(
        address, "health_by_day", "--to", str(file), "--from", "2024-10-05", "--until", "2024-10-14"
    )

    assert (status, f"{file.stat().st_size:,} bytes" in out) == (0, True)
    quoted = str(file).replace("'", "\\'")
    found = store._writer.query(f"SELECT count(), min(date), max(date) FROM file('{quoted}', Parquet)").result_rows[0]
    assert [str(each) for each in found] == ["10", "2024-10-05", "2024-10-14"]
    assert {path.name for path in tmp_path.iterdir()} == {"store", file.name}


@pytest.mark.parametrize(
    ("arguments", "said", "ends_with"),
    [
        (["health_by_day", "--to", "x.xlsx"], "ends in .parquet", 2),
        (["no_such", "--to", "x.csv"], "there are accounts_today", 1),
        (["health_by_day", "--to", "x.csv", "--from", "tomorrow"], "give one as 2026-03-31", 1),
        (["health_by_day", "--to", "exists.csv"], "--force", 2),
        (["health_by_day", "--to", "nowhere/x.csv"], "no folder", 2),
    ],
)
async def test_what_is_wrong_is_said_and_no_file_is_left(
    warehouse: tuple[ClickHouseStore, str], tmp_path: Path, arguments: list[str], said: str, ends_with: int
) -> None:
    _, address = warehouse
    (tmp_path / "exists.csv").write_text("mine")
    before = sorted(tmp_path.rglob("*.csv"))

    status, out = await export(address, *(str(tmp_path / each) if "." in each else each for each in arguments))

    assert (status, said in " ".join(out.split())) == (ends_with, True)
    assert sorted(tmp_path.rglob("*.csv")) == before
    assert (tmp_path / "exists.csv").read_text() == "mine"


async def test_a_warehouse_that_is_away_is_named(tmp_path: Path) -> None:
    status, out = await export("http://127.0.0.1:9", "accounts_today", "--to", str(tmp_path / "x.csv"))

    assert status == 1
    assert "http://127.0.0.1:9 does not answer" in out
    assert list(tmp_path.iterdir()) == []
