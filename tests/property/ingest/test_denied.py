"""Whatever is sent, and whatever becomes of it: nothing that is denied is written anywhere."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.submission import Submission
from services.shared.errors import Rejected
from tests.support.examples import examples
from tests.support.ingest import rules, submit

SECRET = "correct horse battery staple"
RULES = rules({"deny": {"drop": ["password", "card.number"], "hash": ["email"]}})

secrets: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"password": SECRET},
        {"Email": SECRET},
        {"card": {"number": SECRET, "a": 1}},
        {"card": [{"NUMBER": [SECRET]}, {"number": {"deep": SECRET}}]},
    ]
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
holders = st.tuples(secrets, st.dictionaries(st.text(max_size=3), scalars, max_size=2)).map(
    lambda two: {**two[1], **two[0]}
)
members = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "identify", "group", "page", "alias", "x"]) | scalars,
        "event": scalars,
        "userId": st.just("u") | scalars,
        "groupId": st.just("g") | scalars,
        "messageId": scalars,
        "timestamp": scalars,
        "properties": holders,
        "traits": holders,
        "context": holders | st.fixed_dictionaries({"traits": holders, "groupId": scalars}),
    },
)


@settings(max_examples=examples(60), deadline=None)
@given(
    batch=st.lists(members, min_size=1, max_size=3), context=st.none() | holders, cut=st.none() | st.integers(0, 300),
    single=st.booleans(),
)  # fmt: skip
def test_nothing_denied_is_written(batch: list[Any], context: Any, cut: int | None, single: bool) -> None:
    log = MemoryEventLog()
    body = json.dumps(batch[0] if single else {"batch": batch, "context": context}).encode()[:cut]
    with suppress(Rejected):
        asyncio.run(submit(RULES, Submission(body, "", "track" if single else ""), log))

    written = [record for records in log.records.values() for record in records]
    assert written
    assert not [record for record in written if SECRET.encode() in record.value + record.key]


@settings(max_examples=examples(40), deadline=None)
@given(
    holder=st.sampled_from(["properties", "traits", "context"]),
    name=st.sampled_from(["password", "Email"]),
    value=st.sampled_from(["NaN", "1e999", "9" * 40, '"\\ud800"', "1e"]),
    listed=st.booleans(),
)
def test_nothing_denied_is_quoted(holder: str, name: str, value: str, listed: bool) -> None:
    """Names of members below what is denied are data as well: card numbers, addresses."""
    below = f'{{"{SECRET}": {value}}}'
    held = f'{{"{name}": {f"[{below}]" if listed else below}}}'
    body = f'{{"batch": [{{"type": "track", "event": "x", "userId": "u", "{holder}": {held}}}]}}'.encode()
    answer = asyncio.run(submit(RULES, Submission(body), MemoryEventLog()))

    [told] = answer.results
    assert told.code in ("number_not_finite", "number_out_of_range", "invalid_text", "malformed_json")
    assert SECRET not in told.field + told.detail
