"""How ClickHouse is asked: a few connections, a limit of time, and keys of an order as SQL."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.shared.errors import Retryable
from services.warehouse.domain.ordering import Order, Place
from services.warehouse.ports import Found

LONGEST_S = 15
"""A question that takes longer is given up: it would keep others waiting."""
BOUNDED = {"max_execution_time": LONGEST_S}
_WAIT_S = 2 * LONGEST_S
_ENGINES = """SELECT name, engine_full FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"""
_TYPES = {int: "Int64", float: "Float64", str: "String"}


def engines(client: Client) -> list[tuple[str, str]]:
    """Return each table that holds rows, by name, with its engine as ClickHouse writes it: with its TTL and its settings."""
    return [(str(name), str(engine)) for name, engine in client.query(_ENGINES).result_rows]


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Raise Retryable where ClickHouse does not answer, or gives up."""
    try:
        yield
    except (ClickHouseError, OSError) as error:
        raise Retryable(f"ClickHouse: {str(error)[:500]}") from error


class ClickHouseAsking:
    """Asks on whichever connection is free; a connection takes one question at a time."""

    def __init__(self, readers: Sequence[Client]) -> None:
        self._readers = list(readers)
        self._free: queue.LifoQueue[Client] = queue.LifoQueue()
        for reader in readers:
            self._free.put(reader)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Client]:
        try:
            reader = self._free.get(timeout=_WAIT_S)
        except queue.Empty:
            raise Retryable("all connections to ClickHouse are busy", _WAIT_S) from None
        try:
            with answered():
                yield reader
        finally:
            self._free.put(reader)

    def _found(self, query: str, **parameters: Any) -> list[Found]:
        with self._reader() as reader:
            result = reader.query(query, parameters=parameters, settings=BOUNDED)
        names = [name.removesuffix("_ms") if name != "skew_ms" else name for name in result.column_names]
        return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def _bodies(self, query: str, **parameters: Any) -> list[Found]:
        return [msgspec.json.decode(found["body"]) for found in self._found(query, **parameters)]


def order_by(order: Order, sql: Mapping[str, str]) -> str:
    """Return what comes after ORDER BY; `sql` says each key of the order by its name."""
    return ", ".join(f"{sql[key.name]} {'DESC' if key.descending else 'ASC'}" for key in order)


def after(order: Order, last: Place | None, sql: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the condition that a row comes after a place, and its parameters."""
    if last is None:
        return "true", {}
    condition, given = "false", {}
    for number in range(len(order) - 1, -1, -1):
        key, name = order[number], f"after_{number}"
        given[name] = last[number]
        value = f"{{{name}:{_TYPES[key.kind]}}}"
        beyond = f"{sql[key.name]} {'<' if key.descending else '>'} {value}"
        condition = f"({beyond} OR ({sql[key.name]} = {value} AND {condition}))"
    return condition, given
