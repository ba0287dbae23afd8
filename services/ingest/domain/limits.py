"""What ingest bounds, and by how much unless a setting says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

ACCOUNT_FIELDS = (
    "account_id",
    "accountId",
    "organization_id",
    "organizationId",
    "company_id",
    "companyId",
    "tenant_id",
    "tenantId",
)
"""Names under which applications carry the account in properties or traits, in the order they are tried."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one request, one event and one identifier may be."""

    body_bytes: int = 4 * 1024 * 1024
    """Of a request, both as sent and decompressed. SDKs' own guards of 500 KB do not work, so it is higher."""
    batch_events: int = 2_500
    context_bytes: int = 8 * 1024
    """Of a batch's own `context`, which is copied into each event."""
    context_copies: int = 2
    """Times the limit of a body that all copies of a batch's context may be together."""
    event_bytes: int = 32 * 1024
    id_chars: int = 256
    name_chars: int = 1_024
    depth: int = 32
