"""For tests of ingest: the rules of an installation, with the default tracking plan or another one."""

from __future__ import annotations

from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry

from services.ingest.domain.denylist import Denylist
from services.ingest.domain.request import Rules
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.service import IngestService
from services.ingest.submission import Answer, Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.plan_file import default_plan
from services.shared.pseudonyms import Pseudonyms
from services.shared.tracking_plan.actors import Actor
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan

PSEUDONYMS = Pseudonyms(b"\x5e" * 32)
"""Those of the services that tests start: see conftest.py."""


def rules(plan: dict[str, Any] | None = None, **changes: Any) -> Rules:
    """Return rules by a tracking plan, as its file has it."""
    traffic, denylist = _default() if plan is None else _compiled(read_plan(plan))
    return Rules(PSEUDONYMS, traffic, denylist=denylist, **changes)


@cache
def _default() -> tuple[TrafficPlan, Denylist]:
    """Return what the default plan says, compiled once: tests ask for it by the thousand."""
    return _compiled(default_plan())


def _compiled(plan: TrackingPlan) -> tuple[TrafficPlan, Denylist]:
    return TrafficPlan(plan), Denylist(plan.deny)


class AnyTerms:
    """The terms of a sender without any limit."""

    def __init__(self, key: WriteKey) -> None:
        """Take the key that every body names."""
        self._key = key

    def key_in_body(self, named: str, size: int) -> WriteKey:
        """Return the key."""
        return self._key

    def inflated(self, key: WriteKey, size: int) -> None:
        """Take them."""

    def events(self, key: WriteKey, count: int) -> None:
        """Take them."""


async def submit(
    rules: Rules, submission: Submission, log: MemoryEventLog, *, backfill: bool = False, actor: Actor | None = None
) -> Answer:
    """
    Have a request judged and written, by a key without any limit.

    Raises:
        Rejected: the request as a whole is refused.
    """
    key = WriteKey("", "web", client="server", backfill=backfill, actor=actor)
    ingest = IngestService(
        event_log=log, rules=rules, metrics=IngestMetrics(CollectorRegistry()), clock_ms=lambda: 1_800_000_000_000,
        assign_id=lambda: "assigned-1",
    )  # fmt: skip
    return await ingest.submit(submission, key, AnyTerms(key))


def user(user_id: str) -> str:
    """Return the pseudonym of a user id."""
    return PSEUDONYMS.of(user_id)


def visitor(anonymous_id: str) -> str:
    """Return the pseudonym of an anonymous id."""
    return PSEUDONYMS.of_anonymous(anonymous_id)
