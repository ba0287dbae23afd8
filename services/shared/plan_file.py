"""The tracking plan's file: `TIDEMARK_TRACKING_PLAN`, or the default plan of the package."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from services.shared.errors import ConfigurationError
from services.shared.files import quick_yaml
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
    """YAML file with the tracking plan (docs/tracking-plan.md), the same for ingest and scorer; without it the default plan holds."""


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


def read_yaml(path: Path) -> Any:
    """
    Return what a YAML file holds; an empty one an empty mapping.

    Raises:
        ValueError: it cannot be read, is not YAML, or gives a name twice, of which one would be lost.
    """
    try:
        return parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.start - error.object.rfind(b"\n", 0, error.start)
        raise ValueError(f"line {line} is not UTF-8 (byte {byte} of the line): save it as UTF-8") from error


def parse_yaml(text: str) -> Any:
    """
    Return what the text of a YAML file holds; that of an empty one an empty mapping.

    Raises:
        ValueError: it is not YAML, or gives a name twice, of which one would be lost.
    """
    try:
        found = yaml.load(text, _UniqueNames)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_unreadable(error)) from error
    return {} if found is None else found


def _unreadable(error: Exception) -> str:
    """Say on one line where YAML breaks, and why."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"not YAML: {' '.join(str(error).split())}"
    return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'cannot be read'}"


class _UniqueNames(quick_yaml.SafeLoader):  # type: ignore[misc]  # one of two, by how PyYAML was built
    """Refuses a name that is there twice; YAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"{key.value} is there twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return dict(super().construct_mapping(node, deep))
