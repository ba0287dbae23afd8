"""The scorer's settings: the two YAML files that say how to score, and the bounds of its memory."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.scorer.domain.health.model import Model, read_model
from services.shared.errors import ConfigurationError
from services.shared.plan_file import PlanSettings, default_plan, load_plan, read_yaml
from services.shared.tracking_plan.plan import TrackingPlan

DEFAULT_MODEL = Path(__file__).parent / "model.yaml"


class ScorerSettings(PlanSettings):
    """What a scorer process takes from its environment."""

    model_file: Path = Field(DEFAULT_MODEL, validation_alias="TIDEMARK_SCORER_MODEL")
    """YAML file with the measures, weights and anchors of the health score."""
    duplicate_ids: int = Field(4_000_000, ge=1000, le=1_000_000_000, validation_alias="TIDEMARK_SCORER_DUPLICATE_IDS")
    """Event ids remembered per partition, at most 12 bytes each. If a day brings more, the 24-hour window gets shorter."""
    accounts: int = Field(200_000, ge=1, le=10_000_000, validation_alias="TIDEMARK_SCORER_ACCOUNTS")
    """Accounts per partition, about 8 KB each: 1.6 GB if a partition is full. Events of further ones are dead-lettered."""
    ticks: bool = Field(True, validation_alias="TIDEMARK_SCORER_TICKS")
    """Whether this process sends ticks to its lanes; turn it off for a replay."""


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
    except (ValueError, OSError) as error:
        problems += [f"TIDEMARK_SCORER_MODEL {settings.model_file}: {line}" for line in str(error).splitlines()]
    if problems:
        raise ConfigurationError(problems)
    return plan, model
