"""Damage on the disk of a broker."""

from __future__ import annotations

import struct
from pathlib import Path

from services.shared.kafka.embedded.broker import EmbeddedBroker

HEADER = 61
"""Bytes of a batch before its records."""
_LENGTH_AT = 8
"""Where its length is, behind its first offset."""


def segment(broker: EmbeddedBroker, name: str) -> Path:
    """Return the file with the first batches of a partition."""
    [found] = broker.data.rglob(f"{name}/00000000000000000000.log")
    return found


def indexed(broker: EmbeddedBroker, name: str) -> list[int]:
    """Return the offsets that the index of these batches knows, about one in 4 KB."""
    entries = struct.iter_unpack(">II", segment(broker, name).with_suffix(".index").read_bytes())
    return [offset for offset, place in entries if place]


def damage(broker: EmbeddedBroker, name: str) -> None:
    """Change one byte of the first batch of a partition: its checksum does not hold any more."""
    with segment(broker, name).open("r+b") as file:
        file.seek(70)
        [before] = file.read(1)
        file.seek(70)
        file.write(bytes([before ^ 0xFF]))


def erase(broker: EmbeddedBroker, name: str, at: int = 0) -> None:
    """Write zeros over the header of the batch that begins at a place of the file, as a sector does that was lost."""
    with segment(broker, name).open("r+b") as file:
        file.seek(at)
        file.write(bytes(HEADER))


def lengthen(broker: EmbeddedBroker, name: str, at: int = 0) -> None:
    """Say in the header of the batch that begins at a place of the file that it is far longer: it ends behind the file."""
    with segment(broker, name).open("r+b") as file:
        file.seek(at + _LENGTH_AT)
        file.write(struct.pack(">i", 1 << 30))
