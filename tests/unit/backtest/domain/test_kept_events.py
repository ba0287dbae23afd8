"""The events of a history in memory: what was kept comes back, and takes little."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.backtest.domain.history import Event
from services.backtest.domain.kept_events import KeptEvents

MOST_BYTES = 48
"""Of an event without an id; as a tuple it took 250 or more."""
MOST_BYTES_WITH_IDS = 80
"""Of one with an id of 24 characters."""
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
events = st.lists(
    st.builds(
        Event,
        account=texts,
        user=texts,
        at_ms=st.integers(-5, 5),
        name=texts,
        properties=st.dictionaries(texts, values, max_size=2),
        kind=st.sampled_from(["TRACK", "GROUP"]),
        event_id=texts,
        actor=st.sampled_from(["PERSON", "AGENT"]),
        source=texts,
        internal=st.booleans(),
    ),
    max_size=12,
)


@given(events)
def test_events_come_back_as_they_were_given_as_often_as_they_are_read_and_in_another_process(
    given: list[Event],
) -> None:
    kept = KeptEvents(given)

    assert len(kept) == len(given)
    assert list(kept()) == list(kept()) == given
    assert [*map(repr, kept())] == [*map(repr, given)]  # of 1, 1.0 and True each is itself
    assert list(pickle.loads(pickle.dumps(kept))()) == given


@given(events)
def test_events_that_are_sorted_keep_their_order_where_their_time_is_the_same(given: list[Event]) -> None:
    kept = KeptEvents(given)
    kept.sort()

    assert list(kept()) == sorted(given, key=lambda event: event.at_ms)


def test_more_different_properties_than_are_remembered_come_back_all_the_same() -> None:
    given = [Event("acme", "ann", number, properties={"n": number % 70_000}) for number in range(140_000)]

    assert [event.properties for event in KeptEvents(given)()] == [event.properties for event in given]


@pytest.mark.parametrize(("id_chars", "most_bytes"), [(0, MOST_BYTES), (24, MOST_BYTES_WITH_IDS)])
def test_an_event_takes_a_few_bytes(id_chars: int, most_bytes: int) -> None:
    """Ten million events fit into the memory that two million took, and processes share it."""

    def made(count: int) -> Iterator[Event]:
        for number in range(count):
            yield Event(
                f"acme {number % 50}", f"ann {number % 500}", number * 1_000, f"Report {number % 20}", {"n": number % 9},
                event_id=f"{number:0{id_chars}}" if id_chars else "",
            )  # fmt: skip

    count = 50_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = KeptEvents(made(count))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(kept) == count
    assert (after - before) / count < most_bytes
