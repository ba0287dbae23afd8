"""Histories of made-up customers, with the truth about them (services/backtest/generator)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.backtest.domain.history import AccountOutcome, BacktestHistory, Event, Fact
from services.backtest.generator import VERSION, Generated, generate
from services.backtest.generator.generating import Events
from services.shared.tracking_plan.actors import UNSAID

_ACTOR = {"agent": "AGENT", "integration": "INTEGRATION"}
"""Of an event, by what its properties say."""
_ACCOUNTS, _DAYS = 350, 560


@dataclass(frozen=True, slots=True)
class _Made:
    """The events, made as they are read; it can go to another process."""

    events: Events

    def __call__(self) -> Iterator[Event]:
        for event in self.events:
            yield Event(*event, actor=_ACTOR.get(event.properties.get("actor", ""), UNSAID))


def made_up(seed: int) -> tuple[BacktestHistory, Generated]:
    """Return a generated history, and the truth that it was made from."""
    generated = generate(seed, _ACCOUNTS, _DAYS)
    facts = tuple(
        Fact(each.account, each.at_ms, {"seats": each.seats, "country": each.country}) for each in generated.facts
    )
    outcomes = tuple(
        AccountOutcome(story.account, story.onset_day, story.storyline, story.kind)
        for story in generated.truth.stories
        if story.onset_day is not None
    )
    name = f"generated-{seed}"
    fingerprint = f"generated:{VERSION}:{seed}:{_ACCOUNTS}:{_DAYS}"
    until = generated.truth.first_day + generated.truth.days
    return BacktestHistory(name, _Made(generated.events), fingerprint, facts, outcomes, until), generated
