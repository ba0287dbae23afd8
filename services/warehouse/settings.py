"""How the warehouse is configured."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from services.shared.settings import Settings


class WarehouseSettings(Settings):
    """Where ClickHouse is, and how batches are cut."""

    clickhouse_url: SecretStr | None = Field(None, validation_alias="CLICKHOUSE_URL")
    """http(s)://user:password@host:port. If not set, the embedded engine, with its files in the data folder."""
    clickhouse_database: str = Field(
        "tidemark", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", validation_alias="CLICKHOUSE_DATABASE"
    )
    """Created if it does not exist. Two installations need two."""
    memory_mb: int = Field(1024, ge=256, le=1_048_576, validation_alias="TIDEMARK_WAREHOUSE_MEMORY_MB")
    """MB that the embedded engine may take for questions, merges and caches; what goes past it fails. Not for a server."""
    batch_rows: int = Field(20_000, ge=1, le=500_000, validation_alias="TIDEMARK_WAREHOUSE_BATCH_ROWS")
    """Rows at which a batch is written."""
    batch_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=128 * 1024 * 1024, validation_alias="TIDEMARK_WAREHOUSE_BATCH_BYTES"
    )
    """Bytes of record values at which a batch is written."""
    batch_seconds: float = Field(0.5, ge=0.0, le=60.0, validation_alias="TIDEMARK_WAREHOUSE_BATCH_SECONDS")
    """A batch is written when its first record has waited this long."""

    @field_validator("clickhouse_url")
    @classmethod
    def _an_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("give http://user:password@host:port, or https for TLS")
        return value


class RetentionSettings(Settings):
    """How long the warehouse keeps rows, in days since Kafka took their records."""

    details_days: int = Field(30, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_DETAILS_DAYS")
    """Days for which what says who people are is kept: ids, properties beyond the plan, `context` (docs/privacy.md)."""
    events_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_EVENTS_DAYS")
    """Days for which events are kept, with pseudonyms; if not set, for ever."""
    health_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_HEALTH_DAYS")
    """Days for which health snapshots are kept; if not set, for ever."""
    signals_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_SIGNALS_DAYS")
    """Days for which signals are kept; if not set, for ever."""
