"""Whatever was sent, the draft of a plan can be read, and what was sent keeps it."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.cli.plan.comparing import PlanComparison
from services.cli.plan.drafting import draft
from services.cli.plan.inferring import Traffic
from services.cli.plan.observed import Observed
from services.shared.plan_file import B2B_SAAS_PLAN_FILE, read_plan_file
from services.shared.tracking_plan.event_check import Beside
from services.shared.tracking_plan.reading import read_plan
from tests.support.examples import examples

KNOWN = read_plan_file(B2B_SAAS_PLAN_FILE)
# as JSON has it: no halves of surrogate pairs
texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False, allow_infinity=False), texts,
    st.dates().map(str), st.just("ann@acme.example"),
)  # fmt: skip
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(texts, scalars, max_size=2))
names = st.one_of(
    texts, st.sampled_from([*KNOWN.events, "yes", "no", "null", "~", "a: b", "- a", "#", "{x}", "0x1", "1.5", "2027-01-01", "a" * 300])
)  # fmt: skip
properties = st.dictionaries(st.one_of(texts, st.sampled_from(["ticket_id", "score", "on", "Seats", "SEATS", "owner", "Role"])), values, max_size=4)  # fmt: skip
paths = st.one_of(st.just(""), texts.map("/{}".format), st.sampled_from(["/", "/a", "/a/1", "/yes", "/'\"", "/-"]))


@settings(max_examples=examples(32), deadline=None)
@given(
    st.lists(
        st.builds(Observed, st.sampled_from(["TRACK", "TRACK", "PAGE", "SCREEN", "GROUP", "IDENTIFY", "ALIAS"]), names, paths, properties, beside=st.just(Beside())),
        max_size=8,
    ),
    st.integers(1, 12),
)  # fmt: skip
@example([Observed("GROUP", "", "", {"SEATS": 0, "SeATS": False})], 1)
@example([Observed("TRACK", "Planned Absence", "", {})], 1)
@example([Observed("TRACK", "NPS Submitted", "", {"score": 11})], 1)
def test_a_draft_is_a_plan_that_its_traffic_keeps(observed: list[Observed], times: int) -> None:
    traffic = Traffic(KNOWN)
    for each in observed * times:
        traffic.add(each)
    config: Any = yaml.safe_load(draft(traffic))
    found = PlanComparison(read_plan({} if config is None else config))
    for each in observed:
        found.add(each)

    assert found.breaks == {}
    assert sum(found.seen.values()) + sum(found.unknown.values()) >= sum(each.kind == "TRACK" for each in observed)
