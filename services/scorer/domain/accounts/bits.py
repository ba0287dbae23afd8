"""One bit a person, in the order of an account's people: a whole number that grows as people come."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def unpack(mask: int, count: int) -> npt.NDArray[np.uint8]:
    """Return the lowest `count` bits, each as 0 or 1."""
    raw = np.frombuffer(mask.to_bytes((count + 7) // 8, "little"), np.uint8)
    return np.unpackbits(raw, bitorder="little")[:count]


def drop(mask: int, index: int) -> int:
    """Return the bits without one; those above it move down."""
    return mask & (1 << index) - 1 | mask >> index + 1 << index


def pack(flags: npt.NDArray[np.uint8]) -> int:
    """Return the number whose bits these are."""
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
