"""What each dialect has beyond a batch: RudderStack's addresses, and the pixel."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from services.ingest.dialects.pixel import GIF, event_of
from services.ingest.dialects.registry import RouteTable, every_route
from services.ingest.dialects.route import HttpRoute
from services.ingest.http.call import Call, Reply
from services.ingest.intake import EventIntake
from tests.support.ingest import user

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT = {"event": "Opened", "userId": "ann", "messageId": "m1", "context": {"groupId": "acme"}}


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
@pytest.mark.parametrize("how", [{"params": {"writeKey": "wk"}}, {"auth": ("wk", "")}], ids=["query", "Basic"])
async def test_rudderstack_js_is_told_that_its_source_is_enabled(anyone: Any, path: str, how: dict[str, Any]) -> None:
    answer = await anyone.get(path, headers={"Origin": "https://app.example"}, **how)

    source = answer.json()["source"]
    assert (answer.status_code, source["enabled"], source["writeKey"]) == (200, True, "wk")
    assert source["config"]["statsCollection"] == {"errors": {"enabled": False}, "metrics": {"enabled": False}}
    assert (source["destinations"], source["dataplanes"]) == ([], {})
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


async def test_a_source_that_is_not_known_has_no_configuration(anyone: Any) -> None:
    unknown = await anyone.get("/sourceConfig", params={"writeKey": "nobody"})
    missing = await anyone.get("/sourceConfig")

    assert (unknown.status_code, unknown.json()["code"]) == (401, "unknown_write_key")
    assert (missing.status_code, missing.json()["code"]) == (401, "missing_write_key")


async def test_a_rudderstack_beacon_is_a_batch_with_its_key_in_the_query(ingest: Any, anyone: Any) -> None:
    answer = await anyone.post(
        "/beacon/v1/batch",
        params={"writeKey": "wk"},
        content=json.dumps({"batch": [{"type": "track", **EVENT}]}),
        headers={"Content-Type": "text/plain"},
    )

    assert answer.json()["accepted"] == 1
    assert ingest.events()[0]["account"] == "acme"


async def test_whoever_only_asks_whether_a_pixel_is_there_is_no_view(ingest: Any, anyone: Any) -> None:
    asked = await anyone.head("/v1/pixel/page?writeKey=wk&userId=ann&name=Pricing&context.groupId=acme")

    assert (asked.status_code, asked.headers["content-type"], asked.content) == (200, "image/gif", b"")
    assert ingest.events() == []


@pytest.mark.parametrize("path", ["/v1/pixel/page", "/pixel/v1/page", "/v1/pixel/page/"])
async def test_a_pixel_takes_the_event_in_its_query(ingest: Any, anyone: Any, path: str) -> None:
    query = {"writeKey": "wk", "userId": "ann", "name": "Pricing", "messageId": "p1", "context.groupId": "acme"}

    answer = await anyone.get(path, params={**query, "properties.plan": "pro"})

    assert (answer.status_code, answer.content) == (200, GIF)
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/gif", "no-store")
    (event,) = ingest.events()
    assert (event["kind"], event["name"], event["account"], event["user"]) == ("PAGE", "Pricing", "acme", user("ann"))
    (details,) = ingest.details()
    assert json.loads(details["properties"]) == {"plan": "pro"}
    assert "wk" not in details["extra"]


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
async def test_a_pixel_takes_an_encoded_event_with_its_key_beside_it(ingest: Any, anyone: Any, encode: Any) -> None:
    data = encode(json.dumps({**EVENT, "properties": {"a": "ÿ?>~"}}).encode()).decode().rstrip("=")

    answer = await anyone.get("/v1/pixel/track", params={"writeKey": "wk", "data": data})

    assert answer.status_code == 200
    assert ingest.events()[0]["name"] == "Opened"


@pytest.mark.parametrize(
    ("query", "code", "kept"),
    [
        ({"userId": "ann"}, "missing_field", b'{"userId":"ann"}'),
        ({"event": "x"}, "missing_identity", b'{"event":"x"}'),
        ({"data": "!"}, "invalid_body", b"data=%21"),
        ({"data": "bm8="}, "malformed_body", b"no"),
        ({"data": "eyJh"}, "truncated_body", b'{"a'),
        ({"a": "1", "a.b": "2"}, "invalid_body", b"a=1&a.b=2"),
        ({"a": ["1", "2"]}, "invalid_body", b"a=1&a=2"),
        ({f"p{n}": "" for n in range(200)}, "invalid_body", None),
    ],
)
async def test_a_bad_pixel_is_an_image_and_is_judged_counted_and_kept_like_any_event(
    ingest: Any, anyone: Any, query: dict[str, Any], code: str, kept: bytes | None
) -> None:
    answer = await anyone.get("/v1/pixel/track", params={"writeKey": "wk", **query})

    assert (answer.status_code, answer.content, answer.headers["tidemark-code"]) == (400, GIF, code)
    (letter,) = ingest.letters()
    assert (letter["reason"], letter["source"]) == (code, "web")
    assert kept is None or letter["original"] == kept
    assert ingest.metrics.rejections.labels(code, "web")._value.get() == 1


async def test_a_pixel_takes_no_two_ids_that_it_cannot_read_for_one(ingest: Any, anyone: Any) -> None:
    """Müller and Möller, as pages in Latin-1 write them."""
    answers = [await anyone.get(f"/v1/pixel/page?writeKey=wk&userId=M%{byte}ller") for byte in ("FC", "F6")]

    assert [(each.status_code, each.headers["Tidemark-Code"]) for each in answers] == [(400, "invalid_text")] * 2
    assert not ingest.events()
    assert [letter["reason"] for letter in ingest.letters()] == ["invalid_text"] * 2


async def test_a_query_may_be_in_utf8_as_it_is() -> None:
    assert event_of("userId=Müller&name=M%C3%BCller".encode()) == '{"userId":"Müller","name":"Müller"}'.encode()


async def test_a_query_holds_up_to_two_hundred_parameters() -> None:
    assert len(json.loads(event_of("&".join(f"p{n}=1" for n in range(200)).encode()))) == 200


async def test_a_name_with_many_dots_is_a_path_of_eight_names_into_the_event_and_one_more() -> None:
    event = json.loads(event_of(b"a.b.c.d.e.f.g.h.i.j.k=1"))

    for name in "abcdefgh":
        event = event[name]
    assert event == {"i.j.k": "1"}


async def test_a_pixel_of_a_stalled_partition_is_put_off(ingest: Any, anyone: Any) -> None:
    ingest.log.stalled_keys.add(b"slow")
    query = {"writeKey": "wk", "userId": "ann", "messageId": "p1", "context.groupId": "slow"}

    answer = await anyone.get("/v1/pixel/page", params=query)

    assert (answer.status_code, answer.content) == (429, GIF)
    assert (answer.headers["tidemark-code"], answer.headers["retry-after"]) == ("log_unavailable", "5")
    assert ingest.events() == []


async def test_a_pixel_without_a_key_or_a_log_is_an_image_too(ingest: Any, anyone: Any) -> None:
    unknown = await anyone.get("/v1/pixel/page?writeKey=nobody")
    missing = await anyone.get("/v1/pixel/page")
    ingest.log.refuse("the broker is away")
    away = await anyone.get("/v1/pixel/page?writeKey=wk&userId=ann")

    assert [answer.status_code for answer in (unknown, missing, away)] == [401, 401, 429]
    assert {answer.content for answer in (unknown, missing, away)} == {GIF}
    assert away.headers["retry-after"].isdigit()


async def test_another_method_is_told_those_that_the_path_has(anyone: Any) -> None:
    for path, method, allow in (
        ("/v1/pixel/page", "POST", "GET, OPTIONS"),
        ("/v1/batch", "GET", "OPTIONS, POST"),
        ("/v1/projects/wk/settings", "PUT", "GET, OPTIONS"),
    ):
        answer = await anyone.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert (await anyone.head("/v1/pixel/page?writeKey=nobody")).status_code == 401


async def _serve(_call: Call, _intake: EventIntake) -> Reply:
    return Reply(200)


async def test_two_dialects_cannot_claim_one_address() -> None:
    with pytest.raises(ValueError, match="two routes are POST /v1/batch"):
        RouteTable([*every_route().routes, HttpRoute("POST", "/v1/batch", "mine", _serve)])


async def test_a_path_with_variable_segments_gives_them_by_name() -> None:
    table = RouteTable([HttpRoute("POST", "/v1/webhooks/{vendor}", "webhook", _serve)])

    assert table.find("/v1/webhooks/acme")[1] == {"vendor": "acme"}
    assert table.find("/v1/webhooks/acme/more")[0] == table.find("/v1/webhooks")[0] == {}
