"""How far each file has come, kept in the compacted topic backfill-progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import BACKFILL_PROGRESS
from services.shared.kafka.reading import decoded, latest
from services.shared.kafka.settings import KafkaSettings
from services.shared.kafka.topics import full_name

RUN = "tidemark-run"
"""Header of a record by which a run claims its file: what the run is called."""
_encode = codec.encoder("backfill_progress")


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of one file's backfill; the fields are those of the record."""

    file_sha256: str
    file_name: str
    rows_done: int = 0
    epoch: int = 0
    log_time: int = 0
    log_ends: Mapping[str, int] = field(default_factory=dict)
    driven: Mapping[str, int] = field(default_factory=dict)
    finished: bool = False

    @property
    def ends(self) -> dict[int, int]:
        """Return `log_ends` with the partitions as numbers."""
        return numbered(self.log_ends)


async def read_all(kafka: KafkaSettings) -> dict[str, Progress]:
    """Return the latest progress of each file, by its hash."""
    found = await latest(kafka, BACKFILL_PROGRESS, lambda record: Progress(**decoded(record.value)[1]))
    return {each.file_sha256: each for each in found.values()}


async def write(kafka: KafkaSettings, producer: AIOKafkaProducer, progress: Progress, run: str = "") -> None:
    """Write progress and return once Kafka has it; with `run` it is a claim, and all other runs of the file end."""
    value = _encode({**asdict(progress), "log_ends": dict(progress.log_ends), "driven": dict(progress.driven)})
    headers = [(RUN, run.encode())] if run else []
    topic = full_name(kafka, BACKFILL_PROGRESS)
    await producer.send_and_wait(topic, value, key=progress.file_sha256.encode(), headers=headers)


async def forget(kafka: KafkaSettings, producer: AIOKafkaProducer, progress: Progress) -> None:
    """Take a file's progress back: it has not begun."""
    await producer.send_and_wait(full_name(kafka, BACKFILL_PROGRESS), None, key=progress.file_sha256.encode())


def named(offsets: Mapping[int, int]) -> dict[str, int]:
    """Return offsets as the record has them: partitions are text."""
    return {str(partition): offset for partition, offset in offsets.items()}


def numbered(offsets: Mapping[str, int]) -> dict[int, int]:
    """Return offsets with the partitions as numbers."""
    return {int(partition): offset for partition, offset in offsets.items()}
