"""Whatever a vendor signs is mapped or refused, and what is mapped is admitted or refused: nothing else is raised."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.admission import admit
from services.ingest.domain.request import Request
from services.ingest.domain.webhooks.signatures import VENDORS, claimed
from services.ingest.domain.webhooks.vendors import EVENTS, events_of
from services.shared.errors import Rejected
from tests.support.examples import examples
from tests.support.ingest import rules
from tests.support.webhooks import FIXTURES

PAYLOADS = {path.stem: json.loads(path.read_text())["payload"] for path in FIXTURES}
ACCOUNTS = {"stripe": "metadata.account_id", "zendesk": "organization.id", "delighted": "person_properties.account_id"}
REQUEST = Request("hooks", "production", 1_800_000_000_000)

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(10**18, 10**400), st.floats(), st.text(max_size=8),
    st.sampled_from(["", "NaN", "1e999999999", "-1", "usd", "year", "SOLVED", "acme"]),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)  # fmt: skip


def outcome(vendor: str, body: bytes) -> None:
    """Map a body and admit what it becomes, as the service does."""
    try:
        mapped = events_of(vendor, body, ACCOUNTS[vendor], "")
    except Rejected:
        return
    assert mapped.events or mapped.why
    for event in mapped.events:
        try:
            admitted = admit(msgspec.json.encode(event), REQUEST, rules(), lambda: "assigned").event
        except Rejected:
            continue
        assert admitted["id_source"] == "CLIENT"


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, each in inner for found in ((*at, name), *paths(each, (*at, name)))]


@settings(max_examples=examples(75), deadline=None)
@given(st.data())
def test_a_payload_with_any_value_anywhere_is_mapped_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PAYLOADS)))
    payload = json.loads(json.dumps(PAYLOADS[name]))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(paths(payload)))
        holder = payload
        for step in way:
            holder = holder[step]
        holder[last] = data.draw(values)

    outcome(name.partition("-")[0], json.dumps(payload).encode())


@pytest.mark.parametrize("vendor", VENDORS)
@settings(max_examples=examples(30), deadline=None)
@given(payload=values, data=st.data())
def test_any_json_is_mapped_or_refused(vendor: str, payload: Any, data: st.DataObject) -> None:
    if isinstance(payload, dict):
        payload["type" if vendor != "delighted" else "event_type"] = data.draw(st.sampled_from(sorted(EVENTS[vendor])))
    outcome(vendor, json.dumps(payload).encode())


@pytest.mark.parametrize("vendor", VENDORS)
@settings(max_examples=examples(25), deadline=None)
@given(body=st.one_of(st.binary(max_size=50), st.integers(1, 100_000).map(lambda depth: b'{"type":' + b"[" * depth)))
def test_any_bytes_are_mapped_or_refused(vendor: str, body: bytes) -> None:
    outcome(vendor, body)


@pytest.mark.parametrize("vendor", VENDORS)
@settings(max_examples=examples(30), deadline=None)
@given(
    parts=st.tuples(*[st.binary(max_size=90) | st.sampled_from([b"t=1,v1=" + b"0" * 64, b"sha256=", b"", b"inf"])] * 4)
)
def test_any_headers_claim_something_or_are_refused(vendor: str, parts: tuple[bytes, ...]) -> None:
    names = (b"stripe-signature", b"x-zendesk-webhook-signature", b"x-zendesk-webhook-signature-timestamp", b"x-delighted-webhook-signature")  # fmt: skip
    with suppress(Rejected):
        assert claimed(vendor, dict(zip(names, parts, strict=True)), 1.0, 1e12).digests
