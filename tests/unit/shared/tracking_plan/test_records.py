"""Texts of records: whoever has a write key may send long ones, and lists of records have ten thousand."""

import json

from services.shared.tracking_plan.contacts import contact_of
from services.shared.tracking_plan.judgements import judgement_of
from services.shared.tracking_plan.losses import loss_of
from services.shared.tracking_plan.values import MAX_RECORD_TEXT

LONG = "é" * 30_000


def test_what_a_record_says_is_cut() -> None:
    judged = judgement_of(
        json.dumps({"episode_id": "e", "verdict": "useful", "rule": LONG, "text": LONG, "author": LONG})
    )
    lost = loss_of(json.dumps({"date": "2026-03-31", "reason": LONG}))

    assert judged is not None
    assert lost is not None
    told = (
        *contact_of(json.dumps({"channel": LONG, "author": [LONG]})),
        judged.rule,
        judged.text,
        judged.author,
        lost.reason,
    )
    assert {len(text) for text in told} == {MAX_RECORD_TEXT}


def test_what_is_said_of_an_episode_whose_id_would_be_cut_is_no_judgement() -> None:
    said = {"verdict": "useful", "episode_id": "e" * MAX_RECORD_TEXT}

    assert judgement_of(json.dumps(said)) is not None
    assert judgement_of(json.dumps(said | {"episode_id": "e" * (MAX_RECORD_TEXT + 1)})) is None
