"""The tracking plan's file: `TIDEMARK_TRACKING_PLAN`, or the default plan of the package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from services.shared.errors import ConfigurationError
from services.shared.files.yaml_file import read_yaml
from services.shared.settings import Settings
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan

VARIABLE = "TIDEMARK_TRACKING_PLAN"
_SHIPPED = Path(__file__).parent / "tracking_plan"
DEFAULT_PLAN_FILE = _SHIPPED / "default.yaml"
B2B_SAAS_PLAN_FILE = _SHIPPED / "b2b_saas.yaml"
"""A plan to start from, with comments."""


class PlanSettings(Settings):
    """Where the tracking plan is; ingest and scorer are given the same file."""

    plan_file: Path | None = Field(None, validation_alias=VARIABLE)
    """YAML file with the tracking plan (docs/tracking-plan.md), the same for ingest and scorer; without it the default plan is in force."""


def load_plan(settings: PlanSettings) -> TrackingPlan:
    """
    Return the plan that is in force.

    Raises:
        ConfigurationError: all that is wrong with its file.
    """
    return default_plan() if settings.plan_file is None else read_plan_file(settings.plan_file)


def read_plan_file(path: Path, named_by: str = VARIABLE) -> TrackingPlan:
    """
    Read a plan, of which a setting or an option gives the path.

    Raises:
        ConfigurationError: all that is wrong with the file.
    """
    try:
        return read_plan(read_yaml(path))
    except ValueError as error:
        raise ConfigurationError([f"{named_by} {path}: {line}" for line in str(error).splitlines()]) from error


@cache
def default_plan() -> TrackingPlan:
    """Return the plan that holds where none is given."""
    return read_plan_file(DEFAULT_PLAN_FILE)
