"""The state of an account: its bytes, and that they are never read wrongly."""

from __future__ import annotations

import msgspec
import pytest

from services.alerter.domain.conditions import Comparison, Condition, mark_of
from services.alerter.domain.folding import fold_snapshot
from services.alerter.domain.rules import rule_set
from services.alerter.domain.state_format import FORMAT, RuleState, decode_state, encode_state
from services.alerter.rule_files import load_rules
from services.shared.errors import IncompatibleState
from tests.support.alerter import snapshot

# An open usage_decline and a nps_detractor in cooldown.
STATE = bytes.fromhex(
    "920282ad6e70735f646574726163746f729a0000000200cf0000019c000000000100c290ad75736167655f6465636c696e659acf0000019d0000000000cf0000019d100000000302000100c290"
)


def test_a_state_is_read_back_as_it_was() -> None:
    assert decode_state(STATE)["usage_decline"] == RuleState(
        pending_since=0x19D00000000, started_at=0x19D10000000, severity=3, transitions=2, category=1
    )


def test_the_bytes_of_this_format_do_not_change_by_accident() -> None:
    assert FORMAT == 2
    assert encode_state(decode_state(STATE)) == STATE


def test_the_mark_of_a_condition_does_not_change_by_accident() -> None:
    assert mark_of(Condition("level_4w", Comparison.BELOW, 0.3)) == 0x2E5345F3


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x92\x02", b"\x92\x02\xc0", b"\xc1" * 9, STATE[:-3]])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(IncompatibleState, match="no state of the alerter"):
        decode_state(data)


@pytest.mark.parametrize("other", [1, 3])
def test_another_format_is_refused_with_what_to_do(other: int) -> None:
    with pytest.raises(IncompatibleState, match=f"format {other}, this version reads 2: install the one that wrote it"):
        decode_state(msgspec.msgpack.encode((other, {})))


def test_a_state_with_nothing_to_remember_is_no_state() -> None:
    assert encode_state({"usage_decline": RuleState()}) is None


def test_an_open_episode_goes_on_and_one_whose_rule_is_gone_is_resolved() -> None:
    rules = load_rules()
    assert fold_snapshot(rules, STATE, snapshot(level_4w=0.6)).signals == ()

    without = rule_set([rule for rule in rules.ordered if rule.id == "nps_detractor"])
    signals = fold_snapshot(without, STATE, snapshot()).signals

    assert [(s["rule"], s["transition"], s["resolved_reason"], s["category"]) for s in signals] == [
        ("usage_decline", "RESOLVED", "expired", "RISK")
    ]
    assert signals[0]["episode_id"] == f"acme:usage_decline:{0x19D10000000}"
