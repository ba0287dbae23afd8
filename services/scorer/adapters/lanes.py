"""The scorer's two kinds of lane, as the engine takes them."""

from __future__ import annotations

from services.scorer.adapters.core import IDS, STATE, ScorerCore
from services.scorer.adapters.fleet_core import FleetCore
from services.scorer.adapters.metrics import ScorerMetrics
from services.scorer.adapters.records import FLEET_PARTIALS, USAGE_EVENTS, dead_letter
from services.scorer.domain.lane_fold import LaneFold
from services.scorer.domain.model import Model
from services.scorer.domain.plan import TrackingPlan
from services.scorer.domain.state_format import DEFAULT
from services.shared.engine.core import Core
from services.shared.engine.spec import LaneSpec, SourceMode


def usage_lanes(
    partitions: int,
    plan: TrackingPlan,
    model: Model,
    duplicate_ids: int = 4_000_000,
    metrics: ScorerMetrics | None = None,
    most_accounts: int = 200_000,
    written: int = DEFAULT,
) -> LaneSpec:
    """
    Return the lanes of usage-events, which has so many partitions; each holds so many ids and accounts at most.

    `written` is the format of the state records that they write.
    """

    def core(partition: int) -> Core:
        fold = LaneFold(partition, partitions, plan, model, duplicate_ids, most_accounts, written)
        return ScorerCore(fold, metrics.lane(partition) if metrics else None)

    stores = {STATE: "scorer-usage-events-state", IDS: "scorer-usage-events-ids"}
    closed = metrics.forget if metrics else None
    return LaneSpec(USAGE_EVENTS, SourceMode.CONTIGUOUS, stores, core, dead_letter, closed=closed)


def fleet_lane() -> LaneSpec:
    """Return the lane of fleet-partials. A replay leaves it off: the decisions are in the log."""
    stores = {STATE: "scorer-fleet-partials-state"}
    return LaneSpec(FLEET_PARTIALS, SourceMode.TRANSACTIONAL, stores, lambda _: FleetCore(), dead_letter)
