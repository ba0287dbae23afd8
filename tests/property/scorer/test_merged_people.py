"""Two people of an account who turn out to be one: the account is as if they always had been."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.scorer.domain.accounts.daily_counts import ACTIVE
from services.shared.tracking_plan.reading import read_plan
from tests.support.attribution import link
from tests.support.examples import examples
from tests.support.scorer import UsageLane, at

PLAN = read_plan(
    {
        "events": {
            "Report Exported": {"description": "A report was exported.", "means": ["features.export"]},
            "NPS Submitted": {"description": "An answer.", "means": ["answers.nps"], "properties": {"score": {"type": "whole_number", "required": True}}},
        },
        "identify_traits": {"role": {"type": "text", "means": "role"}},
        "answers": {"nps": {"score": "score", "scale": [0, 10]}},
        "features": {"export": "core"},
        "roles": ["admin", "viewer"],
    }
)  # fmt: skip
ANON, KIM = "u_anon", "u_kim"


def people_of(lane: UsageLane) -> dict[str, Any]:
    account = lane.state.accounts["acme"]
    active = account.active_users
    active.settle()
    history = account.history("active", lane.state.clock.closed_day)
    return {
        "known": list(active.known),
        "bits": bytes(active.bits),
        "today": active.today,
        "features": [list(days or ()) for days in active.features.days] if active.features else [],
        "features today": active.features.today if active.features else [],
        "roles": list(account.roles.said) if account.roles else [],
        "answers": account.survey_answers,
        "history": [] if history is None else history.tolist(),
        "counted": [account.daily_counts.get(ACTIVE, active.through - n) for n in range(20)],
    }


def live(seed: int, anonymous: str) -> UsageLane:
    """Live through some days, one of four people under a name of their own before each login."""
    dice = random.Random(seed)
    lane = UsageLane(PLAN)
    number = 0
    for day in range(dice.randrange(1, 9)):
        for _ in range(dice.randrange(8)):
            number += 1
            user = dice.choice([anonymous, KIM, "u_a", "u_z"])
            when = at(day, dice.randrange(24))
            match dice.randrange(6):
                case 0:
                    lane.event(f"e{number}", "acme", user, when, name="Report Exported")
                case 1:
                    lane.event(f"e{number}", "acme", user, when - dice.randrange(day + 1) * 86_400_000)
                case 2:
                    properties = {"score": number % 11}
                    lane.event(f"e{number}", "acme", user, when + number, name="NPS Submitted", properties=properties)
                case 3:
                    # an hour apart: the same role within an hour is no news
                    role = {"role": ["admin", "viewer"][number % 2]}
                    lane.event(f"e{number}", "acme", user, at(day, number % 24), kind="IDENTIFY", properties=role)
                case _:
                    lane.event(f"e{number}", "acme", user, when)
        if dice.random() < 0.8:
            lane.close(day)
    lane.tick(at(day + 1, 1))
    lane.event("last", "acme", "u_a", at(day + 1, 2))
    return lane


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**6))
def test_an_account_is_as_if_two_people_who_are_one_always_had_been(seed: int) -> None:
    apart, always = live(seed, ANON), live(seed, KIM)

    apart.fold.link(link("SAME", ANON, "acme", known_as=KIM))

    assert people_of(apart) == people_of(always)
    assert people_of(apart.reopened()) == people_of(always.reopened())


@settings(max_examples=examples(10), deadline=None)
@given(st.integers(0, 10**6))
def test_to_merge_again_changes_nothing(seed: int) -> None:
    lane = live(seed, ANON)
    lane.fold.link(link("SAME", ANON, "acme", known_as=KIM))
    before, merged = people_of(lane), lane.state.ledger.people_merged

    lane.fold.link(link("SAME", ANON, "acme", known_as=KIM))

    assert people_of(lane) == before
    assert lane.state.ledger.people_merged == merged
