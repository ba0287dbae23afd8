"""What people have said of signals: whether each was of use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.console.api_client import Api, Told

SEVERITY_RANK = {"INFO": 1, "WARNING": 2, "CRITICAL": 3}


class SignalJudgement(NamedTuple):
    """The last judgement of an episode."""

    rule: str
    severity: str
    verdict: str
    """`useful` or `not_useful`."""
    author: str
    at: str

    def sets_aside(self, signal: Mapping[str, Any]) -> bool:
        """Return whether nobody needs to work on the signal: it was of no use, and has not become more severe since."""
        judged = SEVERITY_RANK.get(self.severity.upper(), 0)  # rules and other systems write it in small letters
        return self.verdict == "not_useful" and SEVERITY_RANK.get(signal["severity"], 0) <= judged


class RuleTally(NamedTuple):
    """How the signals of a rule were judged."""

    rule: str
    useful: int
    not_useful: int


Judgements = Mapping[tuple[str, str], SignalJudgement]
"""By account and episode: a record of one account says nothing of a signal of another."""


async def judgements_on_record(api: Api, at: str | None = None) -> Judgements:
    """
    Return the last judgement of each episode, of those of the 90 days up to now or to the end of a day such as `2026-03-31`.

    Raises:
        ApiError: the API refused, or did not answer.
    """
    return _recorded(await api.get("/v1/judgements", at=at))


async def judgements(api: Api) -> Judgements | None:
    """Return the last judgement of each episode; None where the API does not say it soon."""
    told = await api.get_soon("/v1/judgements")
    return None if told is None else _recorded(told)


def _recorded(told: Told) -> Judgements:
    return {
        (row["account"], row["episode_id"]): SignalJudgement(*(row[name] for name in SignalJudgement._fields))
        for row in told["judgements"]
    }


def by_rule(found: Judgements) -> list[RuleTally]:
    """Return how the signals of each rule were judged, those first that were most often of no use."""
    verdicts: dict[str, list[bool]] = {}
    for each in found.values():
        verdicts.setdefault(each.rule, []).append(each.verdict == "useful")
    tallies = (RuleTally(rule, sum(said), len(said) - sum(said)) for rule, said in verdicts.items())
    return sorted(tallies, key=lambda tally: (-tally.not_useful, tally.useful, tally.rule))
