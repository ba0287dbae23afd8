"""What waits for data is what the records of measures and the shipped rules say."""

import json
import re

from schemas.measures import MEASURES
from services.alerter.domain.conditions import measures_in
from services.alerter.rule_files import load_rules
from services.console.pages.waiting import FEEDS, code_of, curl_of
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, default_plan, read_plan_file


def feeds_of(measure: str) -> set[str]:
    return {feed.name for feed in FEEDS if feed.needs & set(MEASURES[measure].needs)}


def test_every_state_that_a_measure_needs_comes_from_one_feed() -> None:
    for measure in MEASURES.values():
        for state in measure.needs:
            assert len([feed.name for feed in FEEDS if state in feed.needs]) == 1, (measure.name, state)


def test_what_tells_that_a_feed_comes_is_a_measure_taken_from_it() -> None:
    for feed in FEEDS:
        assert feed.known or feed.positive
        for measure in (*feed.known, *feed.positive):
            needed = set(MEASURES[measure].needs)
            assert needed, measure
            assert needed <= feed.needs, (feed.name, measure)


def test_a_rule_is_listed_at_the_feed_that_its_conditions_need() -> None:
    """A rule that needs more than use is listed at the other feed alone."""
    listed = {rule: feed.name for feed in FEEDS for rule in feed.signals}

    for rule in load_rules().ordered:
        needed = set().union(*(feeds_of(measure) for measure in measures_in(rule.fires) if MEASURES[measure].needs))
        expected = needed - {"use"} or needed
        assert {listed[rule.id]} == expected, rule.id


def test_calls_to_copy_are_what_the_default_plan_understands() -> None:
    plan = default_plan()
    for feed in FEEDS:
        body = json.loads(re.search(r"-d '(.*)'$", curl_of(feed, "http://x"), re.DOTALL)[1])  # type: ignore[index]
        assert feed.call in curl_of(feed, "http://x")
        assert code_of(feed).startswith(f"analytics.{feed.call}(")
        if feed.call == "group":
            assert body["traits"].keys() <= plan.group_traits.keys()
        elif feed.call == "identify":
            assert body["traits"].keys() <= read_plan_file(B2B_SAAS_PLAN_FILE).identify_traits.keys()
        elif feed.name != "use":
            assert body["event"] in plan.events
            assert body["properties"].keys() <= plan.events[body["event"]].properties.keys()
