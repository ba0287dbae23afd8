"""Keys land in the partitions that every Kafka client would choose."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from services.shared.kafka import partition
from services.shared.kafka.partition import murmur2, partition_for


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_vectors_of_the_java_client_hold(key: bytes, signed: int) -> None:
    """These are of Kafka's own UtilsTest."""
    assert murmur2(key) == signed & 0xFFFFFFFF


@given(st.binary(max_size=64), st.integers(1, 100))
def test_any_key_goes_where_aiokafka_puts_it(key: bytes, partitions: int) -> None:
    """Ours is only faster."""
    assert partition_for(key, partitions) == (aiokafka_murmur2(key) & 0x7FFFFFFF) % partitions


def test_only_short_keys_are_remembered() -> None:
    partition._remembered.cache_clear()
    partition_for(b"a" * 64, 24)
    partition_for(b"b" * 65, 24)

    assert partition._remembered.cache_info().currsize == 1
