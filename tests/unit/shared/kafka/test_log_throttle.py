"""A broker that is away is told of once in a while, not a thousand times a second."""

from __future__ import annotations

import logging

import pytest

from services.shared import logging as logs
from services.shared.kafka.log_throttle import RepeatFilter


def record(template: str, *values: object, name: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, template, values, None)


def test_repeats_are_kept_back_and_counted() -> None:
    quiet = RepeatFilter(every_s=1000)
    assert quiet.filter(record("cannot connect to %s", 1))
    assert not quiet.filter(record("cannot connect to %s", 2))
    assert quiet.filter(record("another message"))

    quiet._every_s = 0
    later = record("cannot connect to %s", 3)

    assert quiet.filter(later)
    assert later.repeated == 1  # type: ignore[attr-defined]


def test_what_a_service_says_itself_always_passes() -> None:
    quiet = RepeatFilter(every_s=1000)

    assert all(quiet.filter(record("producer_replaced", name="services.ingest.event_log.kafka")) for _ in range(3))


def test_kinds_without_end_take_no_memory_without_end() -> None:
    quiet = RepeatFilter(every_s=1000)

    assert all(quiet.filter(record(f"node {n} is away")) for n in range(5000))
    assert len(quiet._passed) <= 1000


def test_every_service_has_the_filter(capsys: pytest.CaptureFixture[str]) -> None:
    logs.setup("ingest", logs.LogSettings())
    for n in range(1000):
        logging.getLogger("aiokafka.producer.sender").warning("Got error produce response: %s", n)

    assert len(capsys.readouterr().err.splitlines()) == 1
