"""Tracking plans for tests: of few words, or the default one without a part of it."""

from __future__ import annotations

import copy
from typing import Any

from services.shared.files.yaml_file import read_yaml
from services.shared.plan_file import DEFAULT_PLAN_FILE
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan

DEFAULT: dict[str, Any] = read_yaml(DEFAULT_PLAN_FILE)
"""The default plan as its file has it."""
_DEFAULT_TRAFFIC = TrafficPlan(read_plan(DEFAULT))


def marked(event: dict[str, Any]) -> dict[str, Any]:
    """Return a usage event with the mark of ingest, whether it is use by the default plan, unless it has one."""
    return {"use": _DEFAULT_TRAFFIC.is_use(event["kind"], event["name"]), **event}


def plan_of(events: dict[str, list[str]] | None = None, **rest: Any) -> TrackingPlan:
    """Return a plan of events and what they mean, and of other parts as a file has them."""
    return read_plan({"events": {name: {"means": means} for name, means in (events or {}).items()}, **rest})


def fact_traits(**traits: tuple[str, str]) -> dict[str, Any]:
    """Return group traits, each with its type and the fact that it says."""
    return {trait: {"type": type_, "means": f"facts.{fact}"} for trait, (type_, fact) in traits.items()}


def default_without(*words: str) -> dict[str, Any]:
    """Return the default plan as a file has it, without what means these names of state or names below them."""
    found = copy.deepcopy(DEFAULT)
    for name, event in list(found["events"].items()):
        if event["means"] == "ignored":
            continue
        event["means"] = [word for word in event["means"] if not word.startswith(words)]
        if not event["means"]:
            del found["events"][name]
    for kind in ("cases", "answers"):
        found[kind] = {name: value for name, value in found[kind].items() if not f"{kind}.{name}".startswith(words)}
    found["group_traits"] = {
        name: trait for name, trait in found["group_traits"].items() if not trait["means"].startswith(words)
    }
    return found
