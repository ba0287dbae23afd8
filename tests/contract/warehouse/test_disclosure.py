"""What is told of a person, row by row: by the embedded engine and by a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from services.shared.http.server import serving
from services.warehouse.clickhouse.store import ClickHouseStore, open_embedded
from services.warehouse.domain.disclosure import PERSONAL_TABLES, REPEATED, personal_rows
from services.warehouse.http.exporting import exporting_routes
from tests.contract.warehouse.people import JO, KIM, filled
from tests.contract.warehouse.stored import event


@pytest.fixture(params=["embedded", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClickHouseStore]:
    if request.param == "server":
        yield request.getfixturevalue("server_store")
        return
    opened = open_embedded(tmp_path / "clickhouse", "tidemark")
    yield opened
    opened.close()


def rows(store: ClickHouseStore, user: str) -> dict[str, list[dict[str, Any]]]:
    found = {table: b"".join(store.export(personal_rows(user, table))) for table in PERSONAL_TABLES}
    return {table: [json.loads(line) for line in text.splitlines()] for table, text in found.items() if text}


def test_all_that_is_stored_of_a_person_is_told_and_nothing_of_others(store: ClickHouseStore) -> None:
    filled(store)

    found = rows(store, JO)

    assert {table: len(each) for table, each in found.items()} == {
        "events": 2, "event_details": 2, "account_user_days": 2, "people": 1, "account_health": 1, "signals": 1
    }  # fmt: skip
    assert {each["account"] for each in found["events"]} == {"acme", "globex"}
    assert {each["user_id"] for each in found["event_details"]} == {"jo@acme.com"}
    assert found["people"][0]["user_id"] == "jo@acme.com"
    assert found["account_health"][0].items() >= {"account": "acme", "lowest_user": JO}.items()
    assert found["signals"][0].items() >= {"rule": "nps", "summary": f"{JO} answered 2"}.items()
    assert KIM not in json.dumps(found)
    assert rows(store, "u_nobody______________") == {}


def test_every_table_that_may_name_a_person_is_told_or_made_of_one_that_is(store: ClickHouseStore) -> None:
    tables = {table for table, columns in store._tables().items() if {"user", "body"} & set(columns)}

    assert tables == {*PERSONAL_TABLES, *tables & REPEATED}
    assert set(PERSONAL_TABLES).isdisjoint(REPEATED)


def test_a_table_of_many_rows_comes_in_pieces(store: ClickHouseStore) -> None:
    number = 20_000
    for start in range(0, number, 10_000):
        made = [event(offset, f"e{offset}", user=JO) for offset in range(start, start + 10_000)]
        store.insert("events", made)

    pieces = list(store.export(personal_rows(JO, "events")))

    assert len(pieces) > 1
    assert b"".join(pieces).count(b"\n") == number


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{JO}/arrivals", 404, "no_such_table"),
        ("jo@acme.com/events", 400, "bad_parameter"),
        ("u_'%20OR%201=1%20OR%20''='/events", 400, "bad_parameter"),
        (f"{JO}/events?limit=1", 400, "unknown_parameter"),
    ],
)
async def test_what_is_asked_is_checked(path: str, status: int, code: str, tmp_path: Path) -> None:
    opened = open_embedded(tmp_path / "clickhouse", "tidemark")
    app = Starlette(routes=exporting_routes(lambda: opened))
    async with serving(app, "127.0.0.1", 0) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.get(f"/v1/traces/people/{path}")
    opened.close()

    assert (answer.status_code, answer.json()["code"]) == (status, code)
