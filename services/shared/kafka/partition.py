"""Topic partitions, and which one a key belongs to: the Java client's murmur2, so that every producer of any language agrees."""

from __future__ import annotations

import struct
from functools import lru_cache

TopicPartition = tuple[str, int]
"""Topic, without the prefix of the deployment, and partition. That of aiokafka has the prefix."""

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C
_REMEMBERED_KEY_BYTES = 64
"""Longer keys are rare, and senders choose them: of a kilobyte each they would take 80 MB."""


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition of `key` among `partitions`, as Kafka's own default partitioner does."""
    return (_remembered(key) if len(key) <= _REMEMBERED_KEY_BYTES else _positive(key)) % partitions


def murmur2(data: bytes) -> int:
    """Return the 32-bit murmur2 hash of `data`, by org.apache.kafka.common.utils.Utils.murmur2."""
    length = len(data)
    words = length // 4
    h = _SEED ^ length
    for word in struct.unpack_from(f"<{words}I", data):
        k = (word * _M) & _MASK
        h = ((h * _M) & _MASK) ^ (((k ^ (k >> 24)) * _M) & _MASK)
    tail = data[words * 4 :]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def _positive(key: bytes) -> int:
    return murmur2(key) & 0x7FFFFFFF


_remembered = lru_cache(maxsize=1 << 16)(_positive)
"""Remembers the latest keys: accounts repeat, and 10 us per record is a third of what ingest may spend. 17 MB at the most."""
