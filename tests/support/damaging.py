"""Damage on the disk of a broker."""

from __future__ import annotations

from services.shared.kafka.embedded.broker import EmbeddedBroker


def damage(broker: EmbeddedBroker, name: str) -> None:
    """Change one byte of the first batch of a partition."""
    [segment] = broker.data.rglob(f"{name}/00000000000000000000.log")
    with segment.open("r+b") as file:
        file.seek(70)
        [before] = file.read(1)
        file.seek(70)
        file.write(bytes([before ^ 0xFF]))
