"""For tests of ingest: the rules of an installation, with the default tracking plan or another one."""

from __future__ import annotations

from typing import Any

from services.ingest.domain.admission import Rules
from services.shared.plan_file import default_plan
from services.shared.pseudonyms import Pseudonyms
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan

PSEUDONYMS = Pseudonyms(b"\x5e" * 32)
"""Those of the services that tests start: see conftest.py."""


def rules(plan: dict[str, Any] | None = None, **changes: Any) -> Rules:
    """Return rules by a tracking plan, as its file has it."""
    return Rules(PSEUDONYMS, TrafficPlan(default_plan() if plan is None else read_plan(plan)), **changes)


def user(user_id: str) -> str:
    """Return the pseudonym of a user id or an anonymous id."""
    return PSEUDONYMS.of(user_id)
