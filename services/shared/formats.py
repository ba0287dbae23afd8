"""
The level of formats that a process writes: a setting, checked at start, shown by each process.

schemas/formats.py says what a level is, docs/upgrading.md when to change the setting.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge
from pydantic import Field, field_validator

from schemas import codec, formats
from services.shared.settings import Settings


class FormatSettings(Settings):
    """In which formats this process writes."""

    write: int = Field(formats.DEFAULT, validation_alias="TIDEMARK_WRITE_FORMATS")
    """
    Level of durable formats to write (docs/upgrading.md). The default is the newest that the previous release reads. Set the
    newest level once every process runs this release and no step back is wanted.
    """

    @field_validator("write")
    @classmethod
    def _known(cls, level: int) -> int:
        if not 1 <= level <= formats.NEWEST:
            raise ValueError(
                f"there is no level {level}: this release writes 1 to {formats.NEWEST}, by default {formats.DEFAULT}"
            )
        return level


class FormatMetrics:
    """The levels of one process in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register both, and set them."""
        self.written = Gauge("tidemark_formats_written", "Level of formats that the process writes.", registry=registry)
        self.read = Gauge("tidemark_formats_read", "Newest level of formats that the process reads.", registry=registry)
        self.written.set(codec.level())
        self.read.set(formats.NEWEST)


def use_formats(settings: FormatSettings) -> None:
    """Write records at this level from here on."""
    codec.write_level(settings.write)


def in_words(level: int) -> str:
    """Say what is written and read."""
    return f"writes level {level}, reads 1 to {formats.NEWEST}"
