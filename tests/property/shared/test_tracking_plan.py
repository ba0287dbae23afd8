"""A tracking plan judges any JSON without an error, and knows its own values."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.shared.tracking_plan.plan import PropertyPlan
from services.shared.tracking_plan.reading import read_plan
from services.shared.tracking_plan.traffic import TrafficPlan
from tests.support.examples import examples

TYPES = ("text", "id", "number", "whole_number", "boolean", "date", "list", "object")
PROPERTIES: dict[str, Any] = {
    **{name: {"type": name} for name in TYPES},
    "needed": {"required": True},
    "choice": {"one_of": ["a", 1, True]},
}
TRAITS = {name: {**said, "personal": True} for name, said in PROPERTIES.items()}
PLAN = TrafficPlan(
    read_plan(
        {
            "events": {"Known": {"properties": PROPERTIES}},
            "pages": {"known": {"paths": ["/a/*", "/b/**"], "properties": PROPERTIES}},
            "group_traits": TRAITS,
            "identify_traits": TRAITS,
            "unknown_events": "reject",
            "excluded_users": ["robot", "*@x"],
        }
    )
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=50),
    st.dates().map(str),
    st.datetimes().map(str),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2), max_leaves=4)  # fmt: skip
properties = st.dictionaries(st.sampled_from([*PROPERTIES, "NEEDED", "Text"]) | st.text(max_size=5), values, max_size=6)


@settings(max_examples=examples(80), deadline=None)
@given(
    kind=st.sampled_from(["TRACK", "PAGE", "SCREEN", "IDENTIFY", "GROUP", "ALIAS", "UNKNOWN"]),
    name=st.sampled_from(["Known", "known", "-KNOWN_"]) | st.text(max_size=10),
    sent=properties,
)
def test_any_json_is_judged(kind: str, name: str, sent: dict[str, Any]) -> None:
    found = PLAN.violations(kind, name, sent)

    assert all(each.code.startswith("plan_") and each.field and len(each.detail) < 300 for each in found)
    assert len({each.field for each in found}) == len(found) <= len(PROPERTIES)
    assert PLAN.clear_properties(kind, name) <= set(PROPERTIES)
    assert isinstance(PLAN.named(kind, name), str)


@settings(max_examples=examples(60), deadline=None)
@given(type_=st.sampled_from(TYPES), value=values)
def test_a_value_breaks_the_plan_just_if_it_is_of_no_such_type(type_: str, value: Any) -> None:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    number = numeric and abs(value) <= 1e15
    fits = {
        "text": isinstance(value, str),
        "id": (isinstance(value, str) and 0 < len(value) <= 128) or (isinstance(value, int) and numeric),
        "number": number,
        "whole_number": number and value == int(value),
        "boolean": isinstance(value, bool),
        "list": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    found = PLAN.violations("TRACK", "Known", {"needed": 1, type_: value})

    if type_ in fits:
        assert bool(found) == (value is not None and not fits[type_])
    elif isinstance(value, (bool, list, dict)):
        assert found


@settings(max_examples=examples(60), deadline=None)
@given(path=st.text(max_size=30) | st.text("/ab?#*.", max_size=3000), user=st.text(max_size=10))
def test_any_path_and_user_is_judged(path: str, user: str) -> None:
    assert PLAN.page_name(path) in {"", "known"}
    assert PLAN.leaves_out(user) == (user == "robot" or user.endswith("@x"))


def test_a_property_may_be_anything_by_default() -> None:
    assert PropertyPlan().type is None
