"""How the warehouse is configured."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from services.shared.http.addresses import ORIGIN, SecretAddress
from services.shared.settings import Settings


class WarehouseSettings(Settings):
    """Where ClickHouse is, and how batches are cut."""

    clickhouse_url: SecretAddress | None = Field(None, validation_alias="CLICKHOUSE_URL")
    """http(s)://user:password@host:port. If not set, the embedded engine, with its files in the data folder."""
    clickhouse_database: str = Field(
        "tidemark", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", validation_alias="CLICKHOUSE_DATABASE"
    )
    """Created if it does not exist. Two installations need two."""
    memory_mb: int = Field(1024, ge=256, le=1_048_576, validation_alias="TIDEMARK_WAREHOUSE_MEMORY_MB")
    """MB that the embedded engine may take for queries, merges and caches; a query that needs more fails. Not used with CLICKHOUSE_URL."""
    batch_rows: int = Field(50_000, ge=1, le=500_000, validation_alias="TIDEMARK_WAREHOUSE_BATCH_ROWS")
    """Rows at which a batch is written."""
    batch_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, le=128 * 1024 * 1024, validation_alias="TIDEMARK_WAREHOUSE_BATCH_BYTES"
    )
    """Bytes of record values at which a batch is written."""
    batch_seconds: float = Field(0.5, ge=0.0, le=60.0, validation_alias="TIDEMARK_WAREHOUSE_BATCH_SECONDS")
    """A batch is written when its first record has waited this long."""
    accept_gap: bool = Field(False, validation_alias="TIDEMARK_WAREHOUSE_ACCEPT_GAP")
    """Go on, instead of stopping the partition, where a broker passes over records. What was in them is in no table."""

    query_tokens_file: Path | None = Field(None, validation_alias="TIDEMARK_QUERY_TOKENS_FILE")
    """YAML file of the tokens that may ask the query API. Needed unless TIDEMARK_HTTP_HOST is loopback."""
    query_cors_origins: str = Field("", validation_alias="TIDEMARK_QUERY_CORS_ORIGINS")
    """Origins of pages that may read answers of the query API, `https://app.example.com`, separated by commas."""

    @property
    def cors_origins(self) -> tuple[str, ...]:
        """The origins one by one."""
        return tuple(each.strip() for each in self.query_cors_origins.split(",") if each.strip())

    @field_validator("query_cors_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            if not ORIGIN.fullmatch(each):
                raise ValueError(
                    f"{each[:100]!r} must be an origin as browsers send it: https://app.example.com, in lower case, without a path"
                )
        return value


class RetentionSettings(Settings):
    """How long the warehouse keeps rows, in days since Kafka took their records."""

    details_days: int = Field(30, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_DETAILS_DAYS")
    """Days for which details of people are kept: ids, properties that the plan does not name, `context` (docs/privacy.md)."""
    events_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_EVENTS_DAYS")
    """Days for which events are kept, with pseudonyms; if not set, for ever."""
    health_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_HEALTH_DAYS")
    """Days for which health snapshots are kept; if not set, for ever."""
    signals_days: int | None = Field(None, ge=1, le=36_500, validation_alias="TIDEMARK_WAREHOUSE_SIGNALS_DAYS")
    """
    Days for which signals are kept; if not set, for ever. An episode may be open for 180 days: with fewer, the query API loses
    signals that are still open on the topics.
    """
