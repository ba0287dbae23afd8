"""The scorer's three kinds of lane, as the engine takes them."""

from __future__ import annotations

from schemas.topics import (
    ACCOUNT_HEALTH,
    ACCOUNT_HEALTH_LATEST,
    DEAD_LETTERS,
    FLEET,
    FLEET_PARTIALS,
    SCORER_FLEET_PARTIALS_STATE,
    SCORER_USAGE_EVENTS_IDS,
    SCORER_USAGE_EVENTS_STATE,
    SCORER_USAGE_UNATTRIBUTED_IDS,
    SCORER_USAGE_UNATTRIBUTED_STATE,
    TOPICS,
    USAGE_EVENTS,
    USAGE_UNATTRIBUTED,
)
from services.scorer import attribution_processor
from services.scorer.attribution_metrics import AttributionMetrics
from services.scorer.attribution_processor import AttributionProcessor
from services.scorer.domain.attribution.fold import AttributionFold
from services.scorer.domain.attribution.state import USER_BYTES
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.state_format import DEFAULT
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.fleet_processor import FleetProcessor
from services.scorer.metrics import ScorerMetrics
from services.scorer.records import dead_letter
from services.scorer.usage_processor import IDS, STATE, UsageProcessor
from services.shared.engine.processor import Processor
from services.shared.engine.spec import AppendOrder, LaneSpec, SourceMode
from services.shared.tracking_plan.plan import TrackingPlan


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

    def processor(partition: int) -> Processor:
        fold = UsageFold(partition, partitions, plan, model, duplicate_ids, most_accounts, written)
        return UsageProcessor(fold, metrics.lane(partition) if metrics else None)

    stores = {STATE: SCORER_USAGE_EVENTS_STATE, IDS: SCORER_USAGE_EVENTS_IDS}
    return LaneSpec(
        USAGE_EVENTS,
        SourceMode(TOPICS[USAGE_EVENTS].read_as),
        stores,
        processor,
        dead_letter,
        outputs=(ACCOUNT_HEALTH, ACCOUNT_HEALTH_LATEST, FLEET_PARTIALS, DEAD_LETTERS),
        closed=metrics.forget if metrics else None,
    )


def attribution_lanes(
    bounds: WaitingBounds | None = None,
    most_users: int = 500_000,
    duplicate_ids: int = 4_000_000,
    metrics: AttributionMetrics | None = None,
    user_bytes: int = USER_BYTES,
) -> LaneSpec:
    """
    Return the lanes of usage-unattributed, each with so many users and ids at most, and so many bytes of users.

    A replay leaves them off: what they forwarded is in the log.
    """
    within = bounds or WaitingBounds()

    def processor(partition: int) -> Processor:
        fold = AttributionFold(duplicate_ids, within, most_users, user_bytes)
        return AttributionProcessor(partition, fold, metrics.lane(partition) if metrics else None)

    stores = {
        attribution_processor.STATE: SCORER_USAGE_UNATTRIBUTED_STATE,
        attribution_processor.IDS: SCORER_USAGE_UNATTRIBUTED_IDS,
    }
    return LaneSpec(
        USAGE_UNATTRIBUTED,
        SourceMode(TOPICS[USAGE_UNATTRIBUTED].read_as),
        stores,
        processor,
        dead_letter,
        outputs=(USAGE_EVENTS, DEAD_LETTERS),
        appends=AppendOrder.BEFORE_COMMIT,
        closed=metrics.forget if metrics else None,
    )


def fleet_lane() -> LaneSpec:
    """Return the lane of fleet-partials. A replay leaves it off: the decisions are in the log."""
    stores = {STATE: SCORER_FLEET_PARTIALS_STATE}
    return LaneSpec(
        FLEET_PARTIALS,
        SourceMode(TOPICS[FLEET_PARTIALS].read_as),
        stores,
        lambda _: FleetProcessor(),
        dead_letter,
        outputs=(FLEET, USAGE_EVENTS, DEAD_LETTERS),
    )
