"""A batch read by column has the rows, and the rest, that reading its records one by one gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import codec
from services.shared.kafka.partition import TopicPartition
from services.warehouse.domain.blocks import Block
from services.warehouse.domain.erasing import Withheld, erasure
from services.warehouse.domain.rows import Place
from services.warehouse.filling import batch as batches
from tests.support.warehouse_events import DETAILS, EVENTS, Message, encoded

TICK = codec.encoder("tick")({"at": 3})
NEWER = b"\0\xff\xff\xff\xff newer"
GOOD = encoded("usage_event", 2, {"event_id": "good", "account": "acme", "user": "u"})


OTHERS = st.one_of(
    st.just(TICK), st.just(NEWER), st.none(), st.just(b""), st.binary(max_size=9), st.just(GOOD + GOOD),
    st.integers(0, len(GOOD)).map(lambda end: GOOD[:end]), st.binary(max_size=40).map(lambda more: GOOD[:5] + more),
    st.just(GOOD.replace(b"good", b"\xff\xff\xff\xff")),
)  # fmt: skip
VALUES = st.lists(EVENTS | DETAILS | OTHERS, max_size=14)
BATCHES = st.dictionaries(
    st.tuples(st.sampled_from(["usage-events", "usage-unattributed", "usage-details"]), st.integers(0, 2)),
    VALUES,
    max_size=4,
)


def messages(values: dict[TopicPartition, list[bytes | None]]) -> dict[TopicPartition, list[Message]]:
    return {
        place: [Message(3 * n, 1_000_000 + 7 * n % 5, value) for n, value in enumerate(of_place)]
        for place, of_place in values.items()
    }


def both_ways(given_: dict[TopicPartition, list[Message]]) -> tuple[batches.Batch, batches.Batch]:
    """Return the batch as it is built, and built without the quick way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "RECORDS", {})
        slow = batches.build(given_)
    return batches.build(given_), slow


@given(values=BATCHES)
@example({("usage-events", 0): [GOOD, GOOD + GOOD, GOOD[:-1], GOOD]})
@example({("usage-events", 0): [GOOD, NEWER, GOOD], ("usage-events", 1): [GOOD, TICK], ("usage-details", 0): [GOOD]})
def test_both_ways_give_the_same_batch(values: dict[TopicPartition, list[bytes | None]]) -> None:
    quick, slow = both_ways(messages(values))

    for table, rows in slow.rows.items():
        assert sorted(quick.rows[table]) == sorted(rows)
        if isinstance(quick.rows[table], Block):
            assert list(quick.rows[table]) == rows
    assert set(quick.rows) == set(slow.rows)
    for name in ("erasures", "skipped", "oldest", "newest", "stopped"):
        assert getattr(quick, name) == getattr(slow, name), name


@given(values=st.lists(EVENTS, min_size=1, max_size=20), most=st.integers(0, 22), index=st.integers(-20, 19))
def test_a_block_is_the_sequence_of_its_rows(values: list[bytes], most: int, index: int) -> None:
    quick, slow = both_ways(messages({("usage-events", 1): list(values)}))
    block, rows = quick.rows["events"], slow.rows["events"]

    assert isinstance(block, Block)
    assert len(block) == len(rows)
    assert block[1:most] == rows[1:most]
    if -len(rows) <= index < len(rows):
        assert block[index] == rows[index]
    else:
        with pytest.raises(IndexError):
            block[index]
    backwards = list(rows)[::-1]
    assert block.latest(most) == sorted(backwards, key=lambda row: -row[3])[:most]


@given(values=st.lists(EVENTS, max_size=20), appended_at=st.integers(999_999, 1_000_006))
def test_an_erasure_withholds_from_a_block_what_it_withholds_from_rows(values: list[bytes], appended_at: int) -> None:
    quick, slow = both_ways(messages({("usage-events", 1): list(values)}))
    order: dict[str, Any] = {"user": "u1", "stands_for": "other", "account": "", "at": 1, "by": "x"}
    withheld = Withheld([
        erasure(Place("usage-details", 0, 1, appended_at), order),
        erasure(Place("usage-details", 0, 2, appended_at - 2), {**order, "user": "", "account": "acme"}),
    ])  # fmt: skip

    assert list(withheld.stored("events", quick.rows["events"])) == withheld.stored("events", slow.rows["events"])
