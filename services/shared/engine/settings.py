"""The engine's settings, each with its reason."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from services.shared.settings import Settings

_DAY_S = 86_400.0
_RECORDS = 10_000_000
_BYTES = 1 << 30
"""Kafka counts bytes of a fetch and milliseconds in 32 bits."""


class EngineSettings(Settings):
    """
    How lanes gather, commit, wait and give up.

    The defaults suit tens of partitions per worker and tens of thousands of records per second.
    """

    transaction_ms: int = Field(250, ge=1, le=5000, validation_alias="TIDEMARK_ENGINE_TRANSACTION_MS")
    """A transaction is committed this long after its first record; each costs about 2 ms of CPU."""
    transaction_records: int = Field(20_000, ge=1, le=_RECORDS, validation_alias="TIDEMARK_ENGINE_TRANSACTION_RECORDS")
    """Records after which a transaction is committed."""
    transaction_bytes: int = Field(4 << 20, ge=1 << 16, le=_BYTES, validation_alias="TIDEMARK_ENGINE_TRANSACTION_BYTES")
    """
    Bytes of changes and outputs beyond which nothing more is folded before a commit. One transaction being written and one
    being gathered are held. How exact the count is between records depends on the processor: see docs/engine.md.
    """
    transaction_timeout_s: float = Field(
        15.0, ge=1, le=_DAY_S, validation_alias="TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S"
    )
    """The broker aborts a transaction that is open for longer; until then readers of the outputs wait for it. At most the brokers' transaction.max.timeout.ms."""
    chunk_records: int = Field(2000, ge=1, le=_RECORDS, validation_alias="TIDEMARK_ENGINE_CHUNK_RECORDS")
    """Records that are handed to a lane at once."""
    queue_records: int = Field(20_000, ge=1, le=_RECORDS, validation_alias="TIDEMARK_ENGINE_QUEUE_RECORDS")
    """Records waiting for a lane, beyond which its partition is not fetched; one fetch may exceed it."""
    queue_bytes: int = Field(16 << 20, ge=1 << 16, le=_BYTES, validation_alias="TIDEMARK_ENGINE_QUEUE_BYTES")
    """The same in bytes, objects included."""
    fetch_bytes: int = Field(1 << 20, ge=1 << 16, le=_BYTES, validation_alias="TIDEMARK_ENGINE_FETCH_BYTES")
    """Bytes of one partition in one fetch."""
    accept_gap: bool = Field(False, validation_alias="TIDEMARK_ENGINE_ACCEPT_GAP")
    """
    Go on, instead of stopping the lane, where source records are gone: retention has deleted them before they were read, or a broker
    passes over them.
    """
    rebuild: bool = Field(False, validation_alias="TIDEMARK_ENGINE_REBUILD")
    """
    Make the state of a lane anew from its source, instead of stopping the lane, when its changelogs are empty and its group has
    an offset. Until the lane is there it writes nothing but its state: its outputs are on their topics.
    """
    max_raises: int = Field(5, ge=1, le=1_000, validation_alias="TIDEMARK_ENGINE_MAX_RAISES")
    """This many failing folds in a row stop a lane: then the code is wrong, not the records."""
    max_restores: int = Field(20, ge=1, le=10_000, validation_alias="TIDEMARK_ENGINE_MAX_RESTORES")
    """Restores of a lane that are tolerated within ten minutes, for whatever reason; one more stops it."""
    openings: int = Field(2, ge=1, le=1_024, validation_alias="TIDEMARK_ENGINE_OPENINGS")
    """
    Lanes that load their changelogs at the same time: one reads while one restores. Each holds the live records of its
    changelogs in memory besides the state that is made of them, so a higher number only needs more memory.
    """
    session_timeout_s: float = Field(10.0, ge=1, le=_DAY_S, validation_alias="TIDEMARK_ENGINE_SESSION_TIMEOUT_S")
    """A dead worker's partitions move after this; one restarted with the same instance id gets its partitions back at once. From the brokers' group.min.session.timeout.ms to their group.max.session.timeout.ms."""
    heartbeat_s: float = Field(1.0, gt=0, le=_DAY_S, validation_alias="TIDEMARK_ENGINE_HEARTBEAT_S")
    """At most a third of the session timeout."""
    max_poll_interval_s: float = Field(60.0, ge=1, le=_DAY_S, validation_alias="TIDEMARK_ENGINE_MAX_POLL_INTERVAL_S")
    """A worker whose loop hangs longer loses its partitions."""
    stall_s: float = Field(60.0, ge=1, le=_DAY_S, validation_alias="TIDEMARK_ENGINE_STALL_S")
    """
    A lane that has records to fold and has not moved for this long is not ready, nor is a consumer that has not polled;
    after twice that the process exits, if the cluster answers.
    """
    instance: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,150}$", validation_alias="TIDEMARK_ENGINE_INSTANCE")
    """Static group membership: unique and stable per worker, by default host name and slot. A second one is refused."""

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        problems = []
        if self.heartbeat_s > self.session_timeout_s / 3:
            problems.append(
                f"TIDEMARK_ENGINE_HEARTBEAT_S ({self.heartbeat_s:g}) is more than a third of"
                f" TIDEMARK_ENGINE_SESSION_TIMEOUT_S ({self.session_timeout_s:g}): a worker would be taken for dead after"
                " one or two lost heartbeats; lower the first, or raise the second"
            )
        if self.transaction_ms / 1000 > self.transaction_timeout_s / 2:
            problems.append(
                f"TIDEMARK_ENGINE_TRANSACTION_MS ({self.transaction_ms}) is more than half of"
                f" TIDEMARK_ENGINE_TRANSACTION_TIMEOUT_S ({self.transaction_timeout_s:g} s): the broker would abort"
                " transactions that are being committed; lower the first, or raise the second"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self
