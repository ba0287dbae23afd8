"""What to do about an error of Kafka, by the name of its class: aiokafka, which takes a while to import, is not needed for it."""

from __future__ import annotations

DAMAGED = "the broker that leads the partition has a damaged copy: let another replica lead, and run it again"


def to_do(error: Exception, otherwise: str) -> str:
    """Return what helps where a broker's copy is damaged, which is there for good, and `otherwise` of all that may pass."""
    return DAMAGED if type(error).__name__ == "CorruptRecordException" else otherwise
