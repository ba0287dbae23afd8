"""
What a fault of the campaign is, and what a row of its table says.

A file in `faults/` holds the faults of one kind, in a list FAULTS. Most are made with `under_load`: a coroutine that
does harm and returns when it is over. One that needs another scene is a Fault with a `play` of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.checks import Findings, check
from tests.chaos.clients import Seen
from tests.chaos.stage import Stage, monotonic, passes

CALM_S = 4.0
"""Load before a fault, and after all is well again."""
_CALM_WITHIN_S = 60.0


@dataclass
class Row:
    """One line of the table. Exactly one of `impossible` and the measurements counts."""

    fault: str
    title: str
    commit: str = ""
    impossible: str | None = None
    """Why it cannot be done on this machine."""
    events: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    without_ok_s: float = 0.0
    """Longest that any one client went without a 200."""
    lost: dict[str, int] = field(default_factory=dict)
    doubled: dict[str, int] = field(default_factory=dict)
    replayed: bool = False
    replay_differs: list[str] = field(default_factory=list)
    signals: int = 0
    recovered_s: float | None = None
    """From the end of the fault until all was well; None: not within the bound."""
    bound_s: float = 0.0
    restarts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or different, and all was well again in time."""
        if self.impossible is not None:
            return True
        bad = self.lost or self.doubled or self.replay_differs or self.problems
        return not bad and self.recovered_s is not None

    def take(self, findings: Findings) -> None:
        """Take what the comparison found."""
        self.events = findings.events
        self.lost, self.doubled = dict(findings.lost), dict(findings.doubled)
        self.replayed, self.replay_differs, self.signals = True, findings.differs, findings.signals
        self.problems += findings.problems

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "good": self.good}


Play = Callable[[Stage, Row], Awaitable[None]]
Harm = Callable[[Stage], Awaitable[list[str] | None]]
"""Does harm and returns when it is over; what it says is a problem, as what `Row.problems` says."""
Possible = Callable[[Stage], str | None]


def always(_: Stage) -> str | None:
    """Return that it can be done anywhere."""
    return None


@dataclass(frozen=True)
class Fault:
    """One fault."""

    name: str
    """By which it is chosen; its kind comes first: `kill-alerter`."""
    title: str
    """In the table."""
    bound_s: float
    """Within which all has to be well after it is over."""
    play: Play
    """Does it and fills in the row."""
    why_not: Possible = always
    """Returns why it cannot be done here; None when it can."""


def under_load(
    name: str,
    title: str,
    harm: Harm,
    bound_s: float = 60.0,
    *,
    fresh: bool = False,
    why_not: Possible = always,
) -> Fault:
    """
    Make a fault of something that is done to a deployment under load.

    Args:
        name: By which it is chosen.
        title: In the table.
        harm: Does harm and returns when it is over; the time to recover begins then.
        bound_s: Greatest time to recover.
        fresh: Whether it takes a deployment of its own.
        why_not: Says why it cannot be done here.
    """

    async def play(stage: Stage, row: Row) -> None:
        if fresh or not stage.clean:
            await stage.fresh()
        before = Counter({each: program.ended for each, program in stage.deployment.programs.items()})
        stage.load.go()
        stage.say("load flows")
        await _calm(stage)
        stage.load.look()
        stage.say("the fault")
        row.problems += await harm(stage) or []
        over = monotonic()
        stage.say("recovering")
        reasons = await recovered(stage, over, bound_s)
        if not reasons:
            row.recovered_s = monotonic() - over
            await passes(CALM_S)
        row.problems += [f"not well after {bound_s:.0f} s: {reason}" for reason in reasons]
        stage.say("the clients finish")
        answered = await stage.load.pause()
        note(row, stage.load.look())
        if not answered:
            row.problems.append("some requests were never answered 200")
        stage.say("comparing")
        row.take(await check(stage.deployment, stage.sent))
        row.restarts = dict(Counter({n: p.ended for n, p in stage.deployment.programs.items()}) - before)
        await stage.deployment.ready("warehouse")
        stage.clean = row.good and not fresh

    return Fault(name, title, bound_s, play, why_not)


def note(row: Row, seen: Seen) -> None:
    """Put what clients saw into a row."""
    row.statuses = dict(sorted(seen.statuses.items()))
    row.without_ok_s = seen.longest_s


async def _calm(stage: Stage) -> None:
    reasons = await recovered(stage, monotonic(), _CALM_WITHIN_S)
    if reasons:
        raise RuntimeError(f"all is not well before the fault: {'; '.join(reasons)}")
    await passes(CALM_S)


async def recovered(stage: Stage, since: float, within_s: float) -> list[str]:
    """Wait until all is well again after `since`; return what is not when the time is over."""
    while reasons := await stage.whole(since):
        if monotonic() - since > within_s:
            return reasons
        await passes(0.25)
    return []
