"""What an event is judged by: what its request says for all of its events, and what an installation configures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.ingest.domain.accounts import AccountBook
from services.ingest.domain.denylist import Denylist
from services.ingest.domain.limits import ACCOUNT_FIELDS, Limits
from services.ingest.domain.plan_check import PlanMode
from services.shared.pseudonyms import Pseudonyms
from services.shared.tracking_plan.actors import Actor
from services.shared.tracking_plan.plan import DenyPlan
from services.shared.tracking_plan.traffic import TrafficPlan


@dataclass(frozen=True, slots=True)
class Rules:
    """What an installation configures about admission."""

    pseudonyms: Pseudonyms
    plan: TrafficPlan
    limits: Limits = field(default_factory=Limits)
    account_fields: tuple[str, ...] = ACCOUNT_FIELDS
    denylist: Denylist = field(default_factory=lambda: Denylist(DenyPlan()))
    accounts: AccountBook = field(default_factory=AccountBook)


class Request(msgspec.Struct, frozen=True):
    """What all events of one request have in common."""

    source: str
    environment: str
    received_at: int
    """Milliseconds since 1970 UTC."""
    first_received_at: int = 0
    """When what is replayed was received at first, by which its times are corrected; 0: it is no replay."""
    kind: str = ""
    """Kind that the path names, as the event record spells it; empty for a batch."""
    sent_at: int | None = None
    context: dict[str, Any] | None = None
    backfill: bool = False
    """Whether times are the sender's own: uncorrected, and of any age."""
    epoch: int = 0
    historical: bool = False
    accepted_by: str = ""
    """Name of this ingest, whose clock `received_at` is."""
    client: str = "server"
    """Who holds the write key, `server` or `browser`: whether what is said about memberships can be believed."""
    plan_mode: PlanMode = "observe"
    actor: Actor | None = None
    """Who acts, where neither the event nor the tracking plan says it; None: people."""

    def received_of(self, occurred_at: int) -> int:
        """Return the receipt of an event: in a driven epoch, log time is when it happened."""
        return occurred_at if self.backfill and self.epoch else self.received_at
