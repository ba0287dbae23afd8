"""A broker that is away is told of once in a while, not a thousand times a second."""

from __future__ import annotations

import logging

from services.shared.engine.quiet import OnceInAWhile


def record(template: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.conn", logging.ERROR, "", 0, template, values, None)


def test_repeats_are_kept_back_and_counted() -> None:
    quiet = OnceInAWhile(every_s=1000)
    assert quiet.filter(record("cannot connect to %s", 1))
    assert not quiet.filter(record("cannot connect to %s", 2))
    assert quiet.filter(record("another message"))

    quiet._every_s = 0
    later = record("cannot connect to %s", 3)

    assert quiet.filter(later)
    assert later.repeated == 1  # type: ignore[attr-defined]
