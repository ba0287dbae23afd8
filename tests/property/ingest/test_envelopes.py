"""Whatever is sent: nothing crashes, every event gets one verdict, and every verdict one record."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import codec
from services.ingest.domain.admission import admit
from services.ingest.domain.limits import Limits
from services.ingest.domain.request import Request
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import LogRecord
from services.ingest.service import IngestService
from services.ingest.submission import Answer, Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected
from tests.support.examples import examples
from tests.support.ingest import AnyTerms, rules

NOW = 1_800_000_000_000
KEY = WriteKey("wk", "web")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec=None), max_size=20),
    st.just("u" * 300),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
times = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from(["1970-01-01T00:00:00Z", "2100-01-01"]),
    values,
)
ids = st.one_of(st.text(max_size=12), values)
members = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "page", "screen", "identify", "group", "alias", "t", "x"]) | values,
        "event": ids,
        "name": ids,
        "userId": ids,
        "anonymousId": ids,
        "messageId": ids,
        "groupId": ids,
        "previousId": ids,
        "timestamp": times,
        "originalTimestamp": times,
        "sentAt": times,
        "context": st.fixed_dictionaries({}, optional={"groupId": ids, "x": values}) | values,
        "properties": st.dictionaries(st.sampled_from(["account_id", "company", "$groups", "a"]), values) | values,
        "traits": st.dictionaries(st.sampled_from(["account_id", "company", "$groups", "a"]), values) | values,
        "extra": values,
    },
)
likely = st.fixed_dictionaries(
    {"type": st.just("track"), "event": st.just("x"), "userId": st.just("u"), "more": values}
)
events = st.one_of(members, likely, values)


def service() -> tuple[IngestService, MemoryEventLog]:
    log = MemoryEventLog()
    made = IngestService(
        event_log=log,
        rules=rules(),
        metrics=IngestMetrics(CollectorRegistry()),
        clock_ms=lambda: NOW,
        assign_id=lambda: "assigned-1",
    )
    return made, log


def submit(body: bytes, kind: str = "", encoding: str = "") -> tuple[Answer | Rejected, MemoryEventLog]:
    ingest, log = service()
    try:
        return asyncio.run(ingest.submit(Submission(body, encoding, kind, all_results=True), KEY, AnyTerms(KEY))), log
    except Rejected as error:
        return error, log


def events_of(log: MemoryEventLog, topic: str) -> list[LogRecord]:
    """Return the records of events, without what they say about users."""
    return [record for record in log.records[topic] if codec.record_of(record.value) == "usage_event"]


@settings(max_examples=examples(100), deadline=None)
@given(batch=st.lists(events, max_size=6), sent_at=times, context=st.none() | values, packed=st.booleans())
def test_every_event_gets_one_verdict_and_one_record(
    batch: list[Any], sent_at: Any, context: Any, packed: bool
) -> None:
    body = json.dumps({"batch": batch, "sentAt": sent_at, "context": context}).encode()
    answer, log = submit(gzip.compress(body) if packed else body)

    if isinstance(answer, Rejected):
        assert answer.field == "context"
        assert len(log.records["usage-rejected"]) == 1
        return
    assert answer.accepted + answer.rejected == len(batch)
    assert [result.index for result in answer.results] == list(range(len(batch)))
    written = events_of(log, "usage-events") + events_of(log, "usage-unattributed")
    assert len(written) == answer.accepted
    assert len(events_of(log, "usage-unattributed")) == answer.unattributed
    assert len(log.records["usage-rejected"]) == answer.rejected
    for record in written:
        event = codec.decode(record.value)[1]
        assert record.key == (event["account"] or event["user"]).encode()
        assert 0 <= event["occurred_at"] <= NOW
        assert isinstance(json.loads(event["properties"]), dict)
    for record in log.records["usage-details"]:
        details = codec.decode(record.value)[1]
        assert isinstance(json.loads(details["properties"]), dict)
        assert isinstance(json.loads(details["extra"]), dict)


@settings(max_examples=examples(120), deadline=None)
@given(
    body=st.binary(max_size=200), kind=st.sampled_from(["", "track"]), encoding=st.sampled_from(["", "gzip", "deflate"])
)
def test_any_bytes_are_answered_and_kept(body: bytes, kind: str, encoding: str) -> None:
    answer, log = submit(body, kind, encoding)

    if isinstance(answer, Rejected):
        assert len(log.records["usage-rejected"]) == 1
    else:
        taken = sum(len(events_of(log, topic)) for topic in ("usage-events", "usage-unattributed"))
        assert taken == answer.accepted
        assert len(log.records["usage-rejected"]) == answer.rejected


@settings(max_examples=examples(120), deadline=None)
@given(
    event=likely, cuts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 5), st.binary(max_size=5)), max_size=4)
)
def test_a_damaged_event_never_spoils_the_ones_beside_it(
    event: dict[str, Any], cuts: list[tuple[int, int, bytes]]
) -> None:
    """Structure aside: damage that leaves quotes and brackets as they were."""
    raw = bytearray(json.dumps(event).encode())
    for start, length, replacement in cuts:
        escapes = raw[:start].endswith(b"\\")  # then a quote behind it would end a string
        if not escapes and not any(sign in raw[start : start + length] + replacement for sign in b'"[]{},:\\'):
            raw[start : start + length] = replacement
    good = b'{"type":"track","event":"x","userId":"u","messageId":"good","groupId":"acme"}'
    answer, log = submit(b'{"batch":[' + good + b"," + bytes(raw) + b"," + good + b"]}")

    assert isinstance(answer, Answer)
    assert answer.accepted + answer.rejected == 3
    assert len(log.records["usage-events"]) >= 2


@settings(max_examples=examples(120), deadline=None)
@given(
    raw=st.one_of(st.binary(max_size=100), events.map(lambda event: json.dumps(event).encode())), backfill=st.booleans()
)
def test_one_event_is_admitted_or_refused_and_nothing_else(raw: bytes, backfill: bool) -> None:
    try:
        first = admit(raw, Request("web", "production", NOW, backfill=backfill), rules(), lambda: "assigned-1")
    except Rejected as error:
        refused = error
    else:
        again = admit(
            raw, Request("web", "production", NOW, backfill=backfill), rules(limits=Limits()), lambda: "assigned-1"
        )
        assert first == again
        return
    assert refused.code
    assert refused.detail
