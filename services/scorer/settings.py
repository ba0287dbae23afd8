"""The scorer's settings: the two YAML files that say how to score, and the bounds of its memory."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.scorer.domain.attribution.state import USER_BYTES
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.scorer.domain.health.model import Model, read_model
from services.shared.errors import ConfigurationError
from services.shared.files.yaml_file import read_yaml
from services.shared.plan_file import PlanSettings, default_plan, load_plan
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import HOUR_MS

DEFAULT_MODEL = Path(__file__).parent / "model.yaml"


class ScorerSettings(PlanSettings):
    """What a scorer process takes from its environment."""

    model_file: Path = Field(DEFAULT_MODEL, validation_alias="TIDEMARK_SCORER_MODEL")
    """YAML file with the measures, weights and anchors of the health score."""
    duplicate_ids: int = Field(4_000_000, ge=1000, le=1_000_000_000, validation_alias="TIDEMARK_SCORER_DUPLICATE_IDS")
    """Event ids remembered per partition, at most 12 bytes each. If a day brings more, the 24-hour window gets shorter."""
    accounts: int = Field(200_000, ge=1, le=10_000_000, validation_alias="TIDEMARK_SCORER_ACCOUNTS")
    """Accounts per partition, about 8 KB each: 1.6 GB if a partition is full. Events of further accounts are dead-lettered."""
    wait_hours: int = Field(168, ge=1, le=2160, validation_alias="TIDEMARK_ATTRIBUTION_WAIT_HOURS")
    """How long an event without an account waits until a call says whose account its user belongs to; seven days."""
    waiting_of_user: int = Field(1_000, ge=1, validation_alias="TIDEMARK_ATTRIBUTION_WAITING_OF_USER")
    """Events of one user that wait; beyond that the oldest is given up."""
    waiting: int = Field(50_000, ge=1, validation_alias="TIDEMARK_ATTRIBUTION_WAITING")
    """Events of identified users that wait in a partition."""
    waiting_bytes: int = Field(32 << 20, ge=4 << 20, validation_alias="TIDEMARK_ATTRIBUTION_WAITING_BYTES")
    """The same in bytes; they are held in memory."""
    waiting_anonymous: int = Field(20_000, ge=1, validation_alias="TIDEMARK_ATTRIBUTION_WAITING_ANONYMOUS")
    """Events of anonymous visitors that wait in a partition. They take no room from those of identified users."""
    waiting_anonymous_bytes: int = Field(
        8 << 20, ge=4 << 20, validation_alias="TIDEMARK_ATTRIBUTION_WAITING_ANONYMOUS_BYTES"
    )
    """The same in bytes."""
    users: int = Field(500_000, ge=1_000, le=100_000_000, validation_alias="TIDEMARK_ATTRIBUTION_USERS")
    """Users whose accounts a partition remembers, about 400 bytes each; those not seen for longest are forgotten."""
    user_bytes: int = Field(USER_BYTES, ge=1 << 20, validation_alias="TIDEMARK_ATTRIBUTION_USERS_BYTES")
    """The same in bytes, not counting Python's overhead. This bound is reached if somebody sends very long account ids."""

    @property
    def waiting_bounds(self) -> WaitingBounds:
        """What may wait for an account in a partition."""
        return WaitingBounds(
            self.wait_hours * HOUR_MS, self.waiting_of_user, self.waiting, self.waiting_bytes, self.waiting_anonymous,
            self.waiting_anonymous_bytes,
        )  # fmt: skip


def load_scoring(settings: ScorerSettings) -> tuple[TrackingPlan, Model]:
    """
    Read tracking plan and model.

    Raises:
        ConfigurationError: all that is wrong with either.
    """
    problems: list[str] = []
    try:
        plan = load_plan(settings)
    except ConfigurationError as error:
        problems += error.problems
        plan = default_plan()
    try:
        model = read_model(read_yaml(settings.model_file), plan)
    except ValueError as error:
        problems += [f"TIDEMARK_SCORER_MODEL {settings.model_file}: {line}" for line in str(error).splitlines()]
    if problems:
        raise ConfigurationError(problems)
    return plan, model
