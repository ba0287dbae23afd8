"""An operator limits what clients may take of a broker, as with `kafka-configs --entity-type clients`."""

from __future__ import annotations

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from services.shared.kafka.clients import admin
from services.shared.kafka.settings import KafkaSettings


class _Response(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "entries",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("entity", Array(("kind", String("utf-8")), ("name", String("utf-8")))),
            ),
        ),
    )


class _RequestV0(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", Array(("kind", String("utf-8")), ("name", String("utf-8")))),
                ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_RequestV0]):  # type: ignore[misc]  # as above
    API_KEY = 49

    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_RequestV0]) -> _RequestV0:
        return request_struct_class(self._entries, False)


async def limit_clients(kafka: KafkaSettings, quota: str, value: float) -> None:
    """Limit each client that has no quota of its own, such as by `consumer_byte_rate`."""
    async with admin(kafka) as client:
        answer = await client._send_request(_AlterClientQuotas([([("client-id", None)], [(quota, value, False)])]))
    assert [code for code, *_ in answer.entries] == [0]
