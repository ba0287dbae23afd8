"""What an operator sets for ingest, besides the Kafka and process settings; docs/settings.md lists it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from services.ingest.accounts_file import load_accounts
from services.ingest.domain.denylist import Denylist
from services.ingest.domain.limits import ACCOUNT_FIELDS, Limits
from services.ingest.domain.request import Rules
from services.ingest.http.receiving import KEYLESS_BYTES, KEYLESS_SHARE, SOURCE_SHARE
from services.ingest.ports import ProduceBounds
from services.shared.plan_file import PlanSettings, load_plan
from services.shared.pseudonyms import Pseudonyms, read_key
from services.shared.settings import Settings
from services.shared.tracking_plan.traffic import TrafficPlan

_ADDRESS = re.compile(r"https?://([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?/?")

_PART_BYTES = 1024 * 1024
"""More than arrives of a body at once."""


class AccountSettings(Settings):
    """How the account of an event is found."""

    accounts_file: Path | None = Field(None, validation_alias="TIDEMARK_ACCOUNTS_FILE")
    """YAML file with aliases of account ids and e-mail domains of accounts (docs/attribution.md); read at the start."""
    account_fields: str = Field(",".join(ACCOUNT_FIELDS), validation_alias="TIDEMARK_INGEST_ACCOUNT_FIELDS")
    """Properties and traits that may hold the account id, separated by commas, in the order in which they are tried."""

    def fields(self) -> tuple[str, ...]:
        """Return the properties and traits that may hold the account id, in their order."""
        return tuple(name.strip() for name in self.account_fields.split(",") if name.strip())


class IngestSettings(PlanSettings, AccountSettings):
    """Limits and files of one ingest process."""

    write_keys_file: Path = Field(Path("write-keys.yaml"), validation_alias="TIDEMARK_WRITE_KEYS_FILE")
    """YAML list of write keys (docs/ingest.md); changes take effect within two seconds."""
    pseudonym_key: SecretStr = Field(
        SecretStr(""),
        validate_default=True,
        examples=["00" * 32],  # stands in its place where the rest is looked at
        validation_alias="TIDEMARK_PSEUDONYM_KEY",
    )
    """64 hexadecimal digits, as `openssl rand -hex 32` prints: the secret from which pseudonyms of users are made. The same for all processes, and for ever (docs/privacy.md)."""
    public_url: str = Field("", validation_alias="TIDEMARK_INGEST_PUBLIC_URL")
    """http(s)://host[:port] at which browsers reach ingest. Needed once SDKs ask for their settings under any name other than this machine's own addresses."""
    webhooks_file: Path | None = Field(None, validation_alias="TIDEMARK_WEBHOOKS_FILE")
    """YAML list of webhook endpoints (docs/webhooks.md), none by default; changes take effect within two seconds."""
    webhook_tolerance_s: float = Field(300.0, gt=0, le=86_400, validation_alias="TIDEMARK_INGEST_WEBHOOK_TOLERANCE_S")
    """How far from now the time in a vendor's signature may be, in either direction."""
    live_token: SecretStr | None = Field(None, min_length=16, validation_alias="TIDEMARK_INGEST_LIVE_TOKEN")
    """Whoever has it may watch events arrive, at `/live`. If not set, the page is closed; `tidemark dev` makes one."""
    workers: int = Field(1, ge=1, le=64, validation_alias="TIDEMARK_INGEST_WORKERS")
    """Processes on one port; also `--workers`. Each has all limits below to itself, its part of each write key's rates, and its own /metrics, ten ports above the one before."""
    worker: int = Field(0, ge=0, validation_alias="TIDEMARK_INGEST_WORKER")
    """Set by the process that starts the workers: which of them this is, from 1."""
    max_body_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, validation_alias="TIDEMARK_INGEST_MAX_BODY_BYTES"
    )
    """Size of a request body, before and after decompression."""
    max_batch_events: int = Field(2_500, ge=1, le=100_000, validation_alias="TIDEMARK_INGEST_MAX_BATCH_EVENTS")
    """Events in one request."""
    max_event_bytes: int = Field(32 * 1024, ge=256, le=512 * 1024, validation_alias="TIDEMARK_INGEST_MAX_EVENT_BYTES")
    """Size of one event."""
    max_in_flight_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, validation_alias="TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES"
    )
    """Bodies being received, and as much again of records that wait for Kafka; beyond it requests get 429. At least 1 MB more than twice the largest body, and 4 MB if that is 512 KB or more."""
    max_connections: int = Field(4_096, ge=16, le=100_000, validation_alias="TIDEMARK_INGEST_MAX_CONNECTIONS")
    """Beyond this and 64 newcomers, a new request takes the place of a connection that is idle, without a known key, or of the source with the most requests still arriving (docs/ingest.md)."""
    linger_ms: float = Field(2.0, ge=0, le=100, validation_alias="TIDEMARK_INGEST_LINGER_MS")
    """How long requests are gathered to share a batch to Kafka."""
    ack_timeout_s: float = Field(8.0, gt=0, le=60, validation_alias="TIDEMARK_INGEST_ACK_TIMEOUT_S")
    """A request that Kafka has not acknowledged after this gets 429; SDKs give a request up after 10 s."""
    stall_after_s: float = Field(2.0, gt=0, le=60, validation_alias="TIDEMARK_INGEST_STALL_AFTER_S")
    """While the oldest batch of a partition is older than this, events of that partition are put off at once. Less than TIDEMARK_INGEST_ACK_TIMEOUT_S."""
    request_timeout_s: float = Field(30.0, gt=0, le=600, validation_alias="TIDEMARK_INGEST_REQUEST_TIMEOUT_S")
    """A request must arrive completely within this."""

    @field_validator("pseudonym_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        read_key(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _fit_each_other(self) -> Self:
        problems = [*self._bodies_without_room(), *self._times_out_of_order()]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _bodies_without_room(self) -> list[str]:
        """A source has a part of the room, and so have those without a key; of a body that is too large a part more is read."""
        keyless = min(KEYLESS_BYTES, self.max_body_bytes)
        least = max(SOURCE_SHARE * self.max_body_bytes + _PART_BYTES, KEYLESS_SHARE * keyless)
        if self.max_in_flight_bytes >= least:
            return []
        problem = (
            f"TIDEMARK_INGEST_MAX_IN_FLIGHT_BYTES ({self.max_in_flight_bytes}) leaves no room for a body of"
            f" TIDEMARK_INGEST_MAX_BODY_BYTES ({self.max_body_bytes}), which would get 429 for ever: set the first to"
            f" {least} or more, or lower the second"
        )
        return [problem]

    def _times_out_of_order(self) -> list[str]:
        ack = f"TIDEMARK_INGEST_ACK_TIMEOUT_S ({self.ack_timeout_s:g})"
        problems = []
        if self.stall_after_s >= self.ack_timeout_s:
            problems.append(
                f"TIDEMARK_INGEST_STALL_AFTER_S ({self.stall_after_s:g}) is no less than {ack}: requests for a stalled"
                " partition would wait out the time before any is put off at once; lower the first, or raise the second"
            )
        if self.linger_ms / 1000 >= self.ack_timeout_s:
            problems.append(
                f"TIDEMARK_INGEST_LINGER_MS ({self.linger_ms:g}) is no less than {ack} s: requests would be given up before"
                " they are sent to Kafka; lower the first, or raise the second"
            )
        return problems

    def pseudonyms(self) -> Pseudonyms:
        """Return the pseudonyms of this installation."""
        return Pseudonyms(read_key(self.pseudonym_key.get_secret_value()))

    @field_validator("public_url")
    @classmethod
    def _an_address_without_a_path(cls, value: str) -> str:
        if value and not _ADDRESS.fullmatch(value):
            raise ValueError("give http://host[:port] or https://host[:port], without a path")
        return value.rstrip("/")

    def rules(self) -> Rules:
        """
        Return the rules of admission.

        Raises:
            ConfigurationError: what is wrong with the tracking plan, or with the file of accounts.
        """
        limits = Limits(
            body_bytes=self.max_body_bytes, batch_events=self.max_batch_events, event_bytes=self.max_event_bytes
        )
        plan, accounts = load_plan(self), load_accounts(self.accounts_file)
        return Rules(self.pseudonyms(), TrafficPlan(plan), limits, self.fields(), Denylist(plan.deny), accounts)

    def bounds(self, wedged_after_s: float = 120.0) -> ProduceBounds:
        """Return how much may wait for Kafka, and how long; and after how much silence a new process might do better."""
        return ProduceBounds(
            in_flight_bytes=self.max_in_flight_bytes,
            linger_s=self.linger_ms / 1000,
            ack_timeout_s=self.ack_timeout_s,
            stall_after_s=self.stall_after_s,
            wedged_after_s=wedged_after_s,
        )
