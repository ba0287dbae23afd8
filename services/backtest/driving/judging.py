"""The alerter's fold over kept snapshots: shard by shard, in as many processes as there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from schemas.measures import MEASURES
from services.alerter.domain.closing import ForgottenAccount
from services.alerter.domain.conditions import measures_in
from services.alerter.domain.folding import fold_snapshot, forget_account
from services.alerter.domain.rules import Category, Rule, RuleSet
from services.backtest.domain.episodes import Episode, episodes_of
from services.backtest.driving.snapshots import Said, Snapshots, read


def judge(snapshots: Snapshots, rules: RuleSet, workers: int = 1) -> list[Episode]:
    """Return the episodes to which these rules lead, by start and account."""
    if workers == 1:
        parts: Iterable[list[Episode]] = [_judge_shard(rules, shard) for shard in snapshots.shards]
    else:
        with ProcessPoolExecutor(workers) as pool:
            parts = list(pool.map(_judge_shard, [rules] * len(snapshots.shards), snapshots.shards))
    episodes = [episode for part in parts for episode in part]
    return sorted(episodes, key=lambda episode: (episode.started_at, episode.account, episode.rule))


def usage_rules(rules: RuleSet) -> frozenset[str]:
    """Return the risks that fire on how much an account uses the product, and on nothing else."""
    return frozenset(rule.id for rule in rules.ordered if rule.category is Category.RISK and _of_use(rule))


def _of_use(rule: Rule) -> bool:
    dimensions = {MEASURES[measure].dimension for measure in measures_in(rule.fires)}
    return bool(dimensions) and dimensions <= {"usage", "breadth"}


def _judge_shard(rules: RuleSet, frames: list[bytes]) -> list[Episode]:
    return episodes_of(signals_of(rules, read(frames)))


def signals_of(rules: RuleSet, said: Iterable[Said]) -> Iterator[dict[str, Any]]:
    """Return the signals, in the order of the snapshots."""
    states: dict[str, bytes] = {}
    for each in said:
        if isinstance(each, ForgottenAccount):
            account = each.account
            folded = forget_account(rules, states.get(account), each)
        else:
            account = each["account"]
            folded = fold_snapshot(rules, states.get(account), each)
        if folded.state is None:
            states.pop(account, None)
        else:
            states[account] = folded.state
        yield from folded.signals
