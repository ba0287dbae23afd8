"""The quick way and the careful way give the same records, verdicts, answers and dead letters, whatever is sent."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas import codec, formats
from services.ingest.domain.accounts import read_accounts
from services.ingest.domain.limits import Limits
from services.ingest.domain.request import Rules
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.metrics import IngestMetrics
from services.ingest.ports import LogRecord
from services.ingest.service import IngestService
from services.ingest.submission import Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Rejected, Retryable
from tests.support.examples import examples
from tests.support.ingest import AnyTerms, rules

NOW = 1_800_000_000_000
KEY = WriteKey("wk", "web", client="server", backfill=True, actor="agent")
STRICT = WriteKey("strict", "web", client="browser", plan="reject")
PLAN: dict[str, Any] = {
    "excluded_users": ["staff-1", "*@tidemark.test"],
    "agent_users": ["u-2", "*bot"],
    "events": {
        "Report Exported": {"properties": {"rows": {"type": "number"}, "email": {"type": "text", "personal": True}}},
        "Query Run": {"actor": "integration"},
        "Contract Signed": {"client": "server"},
        "Invoice Paid": {"means": "ignored"},
        "Ticket Opened": {"means": ["cases.tickets.opened"]},
        "Ticket Closed": {"means": ["cases.tickets.closed"]},
    },
    "pages": {
        "Reports": {"paths": ["/reports/*"], "properties": {"rows": {"type": "number"}}},
        "Status": {"paths": ["/"], "means": "ignored"},
    },
    "cases": {"tickets": {"id": "company"}},
}
RULES = rules(PLAN)

texts = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "a",
            "acme",
            "staff-1",
            "x@tidemark.test",
            "Report Exported",
            "/",
            "STATUS",
            "é",
            "\x00",
            "\x85",
            "\u00ad",
            "\u2028",
        ]
    ),
    st.text(max_size=8),
    st.sampled_from([256, 257, 1_025]).map(lambda size: "u" * size),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30, 0, 1]))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, st.just("\ud800"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
ids = st.one_of(st.sampled_from(["u-1", "staff-1", "x@tidemark.test"]), texts, values)
times = st.one_of(
    st.sampled_from(["2026-05-04T10:11:12.345+00:00", "2027-01-15T08:00:00Z", "2026-05-04", "1969-01-01", "2100-01-01", ""]),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.sampled_from([NOW, 12, 10**30]),
    values,
)  # fmt: skip
properties = st.dictionaries(
    st.sampled_from(["rows", "email", "account_id", "company", "$groups", "path", "x"]), values, max_size=4
)
actors = st.sampled_from(["person", "agent", "integration", "Agent", "", None]) | values
contexts = st.fixed_dictionaries(
    {},
    optional={
        "groupId": ids,
        "page": st.fixed_dictionaries({}, optional={"path": texts}) | values,
        "x": values,
        "actor": actors,
    },
)
common = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["track", "page", "screen"]),
        "event": st.sampled_from(["Report Exported", "Query Run", "contract_signed", "Invoice Paid", "ticket opened"]),
        "messageId": st.integers(0, 10**9).map(lambda n: f"m-{n}"),
        "timestamp": st.just("2026-05-04T10:11:12.345+00:00"),
        "userId": st.sampled_from(["u-1", "u-2", "staff-1", "x@tidemark.test"]),
    },
    optional={
        "anonymousId": st.sampled_from([None, "anon-1", "u-1"]),
        "context": contexts,
        "properties": properties,
        "integrations": st.just({}),
        "name": texts,
    },
)
odd = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["track", "page", "screen", "identify", "group", "alias", "t", "Track"]) | values,
        "event": ids, "name": ids, "userId": ids, "anonymousId": ids, "messageId": ids, "groupId": ids,
        "previousId": ids, "timestamp": times, "originalTimestamp": times, "sentAt": times, "writeKey": values,
        "context": contexts | values, "properties": properties | values, "traits": values, "extra": values,
    },
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a common event with some members of another one."""
    return draw(common) | draw(odd.map(lambda event: dict(list(event.items())[:2])))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Draw the bytes of a common event with some of them replaced, or members that are there twice."""
    raw = bytearray(json.dumps(draw(common), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        raw[at : at + draw(st.integers(0, 4))] = draw(
            st.sampled_from([b"", b"\xff", b"1e999", b'"', b"\\", b"\\ud800", b"[" * 40, b"{", b",", b" " * 9, b"\n"])
        )
    twice = draw(st.sampled_from([b"", b'"userId":7,', b'"context":{"groupId":"b"},', b'"properties":{"a":1e999},']))
    return bytes(raw[:1]) + twice + bytes(raw[1:])


events = st.one_of(
    common.map(lambda event: json.dumps(event).encode()),
    changed().map(lambda event: json.dumps(event).encode()),
    odd.map(lambda event: json.dumps(event).encode()),
    damaged(),
)
headers = st.fixed_dictionaries({}, optional={"epoch": st.integers(0, 9), "historical": st.booleans()})


def service(rules_: Rules, *, quick: bool) -> tuple[IngestService, MemoryEventLog]:
    log = MemoryEventLog()
    made = IngestService(
        event_log=log,
        rules=rules_,
        metrics=IngestMetrics(CollectorRegistry()),
        clock_ms=lambda: NOW,
        assign_id=lambda: "assigned-1",
        name="ingest-a-0",
    )
    if not quick:
        made._judging._quick.origin = lambda _request: None  # type: ignore[assignment,method-assign]
    return made, log


def outcome(ingest: IngestService, submission: Submission, key: WriteKey = KEY) -> object:
    """Return the answer as it is written, or what refuses the request."""
    try:
        return msgspec.json.encode(asyncio.run(ingest.submit(submission, key, AnyTerms(KEY))))
    except (Rejected, Retryable) as error:
        return repr(error)


def judged_alike(submissions: list[Submission], rules_: Rules, stalled: frozenset[bytes] = frozenset()) -> None:
    """Send the same requests to both, one after the other, so that the quick way remembers those before."""
    (quick, quick_log), (careful, careful_log) = service(rules_, quick=True), service(rules_, quick=False)
    quick_log.stalled_keys = careful_log.stalled_keys = set(stalled)
    for submission in submissions:
        for key in (KEY, STRICT):
            assert outcome(quick, submission, key) == outcome(careful, submission, key)
    assert dict(quick_log.records) == dict(careful_log.records)


@settings(max_examples=examples(80), deadline=None)
@given(
    batches=st.lists(st.lists(events, max_size=4), min_size=1, max_size=3),
    sent_at=times,
    context=st.none() | contexts | values,
    more=headers,
    told=st.booleans(),
)
def test_batches_are_judged_alike(
    batches: list[list[bytes]], sent_at: Any, context: Any, more: dict[str, Any], told: bool
) -> None:
    shared = json.dumps({"sentAt": sent_at, "context": context}).encode()[1:-1]
    judged_alike(
        [
            Submission(b'{"batch":[' + b",".join(batch) + b"]," + shared + b"}", all_results=told, **more)
            for batch in batches
        ],
        RULES,
    )


@settings(max_examples=examples(60), deadline=None)
@given(
    sent=st.lists(
        st.tuples(events, st.sampled_from(["track", "page", "screen", "identify", "group", "alias"])), max_size=4
    )
)
def test_single_events_are_judged_alike(sent: list[tuple[bytes, str]]) -> None:
    judged_alike([Submission(body, kind=kind) for body, kind in sent], RULES)


@settings(max_examples=examples(40), deadline=None)
@given(batch=st.lists(events, max_size=5), bytes_=st.sampled_from([120, 200, 400]), depth=st.sampled_from([2, 3, 6]))
def test_limits_are_kept_alike(batch: list[bytes], bytes_: int, depth: int) -> None:
    limits = Limits(event_bytes=bytes_, depth=depth, id_chars=4, name_chars=12)
    judged_alike([Submission(b'{"batch":[' + b",".join(batch) + b"]}")], Rules(RULES.pseudonyms, RULES.plan, limits))


@settings(max_examples=examples(24), deadline=None)
@given(batch=st.lists(events, max_size=4), domains=st.booleans())
def test_aliases_and_domains_of_accounts_are_used_alike(batch: list[bytes], domains: bool) -> None:
    known = {"aliases": {"a": "acme", "u-1": "alpha"}, "domains": {"tidemark.test": "own"} if domains else {}}
    judged_alike(
        [Submission(b'{"batch":[' + b",".join(batch) + b"]}")],
        dataclasses.replace(RULES, accounts=read_accounts(known)),
    )


@settings(max_examples=examples(20), deadline=None)
@given(batch=st.lists(events, max_size=4), name=st.sampled_from(["rows", "x", "groupId"]))
def test_what_a_plan_denies_is_denied_alike(batch: list[bytes], name: str) -> None:
    denied = rules({**PLAN, "deny": {"drop": [name]}})
    judged_alike([Submission(b'{"batch":[' + b",".join(batch) + b"]}")], denied)


@settings(max_examples=examples(20), deadline=None)
@given(batch=st.lists(events, max_size=5))
def test_what_a_stalled_partition_puts_off_is_put_off_alike(batch: list[bytes]) -> None:
    body = Submission(b'{"batch":[' + b",".join(batch) + b"]}")
    judged_alike([body, body], RULES, frozenset({b"acme", b"a"}))


@settings(max_examples=examples(20), deadline=None)
@given(event=common, level=st.integers(1, formats.NEWEST))
@example(
    event={"type": "page", "messageId": "m", "userId": "u", "properties": {"path": "/reports/7", "rows": 1}}, level=2
)
def test_the_level_in_force_is_written_alike_and_followed(event: dict[str, Any], level: int) -> None:
    body = Submission(json.dumps({"batch": [event]}).encode())
    (quick, quick_log), (careful, careful_log) = service(RULES, quick=True), service(RULES, quick=False)
    before = codec.level()
    for now in (before, level, before):
        codec.write_level(now)
        try:
            assert outcome(quick, body) == outcome(careful, body)
        finally:
            codec.write_level(before)
    assert dict(quick_log.records) == dict(careful_log.records)


def test_nobody_is_remembered_without_end(monkeypatch: Any) -> None:
    """The caches are emptied when full; what is judged afterwards is judged as before."""
    monkeypatch.setattr("services.ingest.domain.quick.way._REMEMBERED_PERSONS", 3)
    monkeypatch.setattr("services.ingest.domain.quick.way._REMEMBERED_NAMES", 2)
    batch = [
        json.dumps({"type": "track", "event": f"e{n % 5}", "userId": f"u{n % 7}", "messageId": str(n)}).encode()
        for n in range(40)
    ]
    ingest, log = service(RULES, quick=True)
    careful, careful_log = service(RULES, quick=False)
    body = Submission(b'{"batch":[' + b",".join(batch) + b"]}")

    assert outcome(ingest, body) == outcome(careful, body)
    assert dict(log.records) == dict(careful_log.records)
    assert sum(len(known) for known in ingest._judging._quick._persons.values()) <= 3
    assert all(len(known) <= 2 for known in ingest._judging._quick.names.values())


def test_what_sdks_send_takes_the_quick_way() -> None:
    """Or all of the above would hold for a quick way that takes nothing."""
    ingest, log = service(RULES, quick=True)
    ingest._judging._with_care = None  # type: ignore[assignment,method-assign]  # would be called
    base: dict[str, Any] = {
        "userId": "u",
        "timestamp": "2026-05-04T10:11:12.345Z",
        "integrations": {},
        "anonymousId": None,
    }
    sent: list[dict[str, Any]] = [
        {"type": "track", "event": "Report Exported", "properties": {"rows": 1, "email": "a@b.c"}, **base},
        {"type": "track", "event": "É", "context": {"groupId": "acme"}, "channel": "server", **base},
        {"type": "track", "event": "Q", "properties": {"account_id": "acme"}, "sentAt": "2026-05-04T10:11:12Z", **base},
        {"type": "page", "name": "Home", "context": {"page": {"path": "/reports/1"}, "groupId": "acme"}, **base},
        {"type": "page", "properties": {"path": "/x"}, **base, "userId": None, "anonymousId": "anon", "_metadata": {}},
        {"type": "screen", "name": "Start", "groupId": "acme", "writeKey": "wk", **base, "anonymousId": "anon"},
    ]
    body = json.dumps({"batch": [{**event, "messageId": str(n)} for n, event in enumerate(sent)]}).encode()
    answer = asyncio.run(ingest.submit(Submission(body), KEY, AnyTerms(KEY)))

    assert (answer.accepted, answer.rejected) == (6, 0)
    (event,) = [codec.decode(r.value)[1] for r in _of_id(log, "0") if codec.record_of(r.value) == "usage_event"]
    assert (event["properties"], event["kind"], event["name"]) == ('{"rows":1}', "TRACK", "Report Exported")


def _of_id(log: MemoryEventLog, event_id: str) -> list[LogRecord]:
    records = [record for topic in log.records.values() for record in topic]
    return [record for record in records if codec.decode(record.value)[1]["event_id"] == event_id]
