"""Which rules are measured: those that fire on use alone."""

from __future__ import annotations

from services.alerter.rule_files import load_rules
from services.backtest.driving.judging import usage_rules


def test_tickets_surveys_renewals_and_growth_are_not_measured() -> None:
    rules = load_rules()
    measured = usage_rules(rules)

    assert {"usage_silent", "usage_decline"} <= measured
    assert not measured & {"tickets_stuck", "nps_detractor", "renewal_at_risk", "usage_growth", "seat_saturation"}
    assert measured < {rule.id for rule in rules.ordered}
