"""Drive histories, or take what is kept of them, and judge them by rules."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.alerter.domain.rules import RuleSet
from services.alerter.rule_files import load_rules
from services.backtest.domain.episodes import Episode
from services.backtest.domain.history import AccountOutcome, BacktestHistory
from services.backtest.driving import kept
from services.backtest.driving.judging import judge, usage_rules
from services.backtest.driving.lane import Span
from services.backtest.driving.lanes import Progress, score
from services.backtest.driving.snapshots import Scores, Snapshots, scores_of
from services.scorer.domain.health.model import Model
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.tracking_plan.plan import TrackingPlan, fingerprint


@dataclass(frozen=True)
class Scoring:
    """What a history is judged with; by default what comes with Tidemark."""

    plan: TrackingPlan = field(default_factory=lambda: load_scoring(ScorerSettings())[0])
    model: Model = field(default_factory=lambda: load_scoring(ScorerSettings())[1])
    rules: RuleSet = field(default_factory=load_rules)


@dataclass(frozen=True)
class Driven:
    """A history, and what Tidemark said of it."""

    name: str
    span: Span
    accounts: list[str]
    activity: NDArray[np.uint16]
    """Active user-days: one row for each account, one column for each day from `span.first_day`."""
    snapshots: Snapshots
    """Every snapshot as the alerter sees it, by account in time order; iterate to read them."""
    episodes: list[Episode]
    """Of all rules and severities, by start and account."""
    usage_rules: frozenset[str]
    """The rules whose signals are told from use alone: these are measured."""
    outcomes: tuple[AccountOutcome, ...]
    rejected: dict[str, int]
    """Events that the scorer could not apply, and what the history left out, by reason."""
    events: int

    @cached_property
    def scores(self) -> Scores:
        """Account, time, score and band of every snapshot, as arrays."""
        return scores_of(self.snapshots, self.accounts)


def drive(
    history: BacktestHistory,
    scoring: Scoring | None = None,
    *,
    keep: Path | None = None,
    workers: int = 1,
    progress: Progress = lambda _: None,
) -> Driven:
    """
    Return what Tidemark would have said of a history.

    Args:
        history: What happened.
        scoring: Tracking plan, model and rules.
        keep: A file to keep the snapshots in. If it has those of the same history, plan, model and code of the scorer,
            only the rules are judged again, which takes a fraction of the time.
        workers: Processes, 1 or 2.
        progress: Is told the number of events so far.

    Raises:
        EmptyHistoryError: the history has no events.
    """
    scoring = scoring or Scoring()
    key = kept.key_of(history.fingerprint, str(history.until_day), fingerprint(scoring.plan), scoring.model.fingerprint)
    found = kept.load(keep, key) if keep is not None else None
    if found is None:
        scored, snapshots = score(history, (scoring.plan, scoring.model), workers, progress)
        if keep is not None:
            kept.save(keep, key, scored, snapshots)
    else:
        scored, snapshots = found
    return Driven(
        history.name, scored.span, scored.accounts, scored.activity, snapshots,
        judge(snapshots, scoring.rules, workers), usage_rules(scoring.rules), history.outcomes,
        {**scored.rejected, **history.left_out}, scored.events,
    )  # fmt: skip


def judge_again(driven: Driven, rules: RuleSet) -> Driven:
    """Return the same history, judged by other rules."""
    episodes = judge(driven.snapshots, rules)
    again = replace(driven, episodes=episodes, usage_rules=usage_rules(rules))
    again.__dict__["scores"] = driven.scores  # of the same snapshots, and slow to read
    return again


def drive_all(
    histories: Sequence[BacktestHistory], scoring: Scoring | None = None, *, keep: Path | None = None, workers: int = 2
) -> list[Driven]:
    """Drive several histories, in as many processes; `keep` is a folder for their files."""
    scoring = scoring or Scoring()
    files = [keep / f"{history.name}.snapshots" if keep else None for history in histories]
    if workers == 1 or len(histories) == 1:
        return [
            drive(history, scoring, keep=file, workers=workers) for history, file in zip(histories, files, strict=True)
        ]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(drive, history, scoring, keep=file) for history, file in zip(histories, files, strict=True)]
        return [job.result() for job in jobs]
