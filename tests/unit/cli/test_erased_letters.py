"""Which dead letters are of somebody who was erased after they were written."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from schemas import codec
from services.cli.rejected.erased import ERASED, ERASED_IN_BODY, UNREADABLE, AccountNames, Erased
from services.cli.rejected.letters import Letter
from services.ingest.domain.accounts import AccountBook
from services.shared.dead_letters import DeadLetter
from services.shared.errors import Fatal
from services.shared.pseudonyms import Pseudonyms
from services.shared.replays import RequestFacts
from tests.support.ingest import PSEUDONYMS, user, visitor
from tests.support.scorer import event

ORDERED = 1_764_550_923_412
JO, BROWSER = "jo@acme.example", "browser-of-jo"
EVENT, WHOLE = RequestFacts(), RequestFacts(whole=True)
NAMES = AccountNames()


def erased(*whom: dict[str, str], names: AccountNames = NAMES) -> Erased:
    found = Erased(lambda: PSEUDONYMS, names)
    for each in whom:
        found.note({"user": "", "account": "", **each}, ORDERED)
    return found


def letter(original: Any, facts: RequestFacts = EVENT, *, at: int = ORDERED, topic: str = "usage-rejected") -> Letter:
    body = original if isinstance(original, bytes) else json.dumps(original).encode()
    written = DeadLetter(
        by="ingest", reason="r", field="", detail="", original=body, keep=1_000_000, request=facts.encode()
    )
    return Letter(topic, 0, 0, at, codec.decode(written.encode())[1])


@pytest.mark.parametrize(
    "call",
    [
        {"userId": JO},
        {"userId": JO, "anonymousId": "any"},
        {"anonymousId": BROWSER},
        {"userId": "another", "previousId": JO, "type": "alias"},
        {"userId": "another", "previousId": BROWSER, "type": "alias"},
    ],
)
def test_a_letter_of_before_an_erasure_stays_out_whatever_id_of_the_person_it_has(call: dict[str, Any]) -> None:
    known = erased({"user": user(JO)}, {"user": visitor(BROWSER)})

    assert known.why_not(letter(call)) == ERASED
    assert known.why_not(letter(call, at=ORDERED + 1)) == "", "who comes back is somebody new"


@pytest.mark.parametrize("call", [{"userId": "kim"}, {"userId": "kim", "anonymousId": BROWSER}, {}, {"userId": ["a"]}])
def test_letters_of_others_are_sent_though_they_used_the_same_browser(call: dict[str, Any]) -> None:
    assert erased({"user": user(JO)}, {"user": visitor(BROWSER)}).why_not(letter(call)) == ""


def test_an_id_that_is_a_number_is_the_text_of_it() -> None:
    assert erased({"user": user("42")}).why_not(letter({"userId": 42})) == ERASED


@pytest.mark.parametrize(
    "call",
    [
        {"groupId": "acme"},
        {"context": {"groupId": "acme"}},
        {"properties": {"workspace": "acme"}},
        {"traits": {"workspace": "acme-old"}},
        {"properties": {"company": {"id": "acme"}}},
        {"properties": {"$groups": {"company": "acme"}}},
    ],
)
def test_a_letter_of_an_erased_account_stays_out_wherever_ingest_finds_its_account(call: dict[str, Any]) -> None:
    names = AccountNames(("workspace",), AccountBook(aliases={"acme-old": "acme"}))
    known = erased({"account": "acme"}, names=names)

    assert known.why_not(letter({"userId": JO, **call})) == ERASED
    assert known.why_not(letter({"userId": JO, "properties": {"parent": "acme"}})) == ""


@pytest.mark.parametrize(
    "call",
    [
        {"userId": "kim@acme.example"},
        {"userId": "kim", "type": "identify", "traits": {"email": "kim@ACME.example"}},
        {"userId": "kim", "context": {"traits": {"email": "kim@acme.example"}}},
    ],
)
def test_a_letter_that_names_no_account_stays_out_if_its_email_domain_is_of_an_erased_one(call: dict[str, Any]) -> None:
    known = erased({"account": "acme"}, names=AccountNames(book=AccountBook(domains={"acme.example": "acme"})))

    assert known.why_not(letter(call)) == ERASED
    assert known.why_not(letter({**call, "groupId": "globex"})) == "", "ingest asks the domain last"
    assert erased({"account": "acme"}).why_not(letter(call)) == ""


def test_the_context_of_a_batch_names_the_account_of_its_events() -> None:
    beside = RequestFacts(context={"groupId": "acme"})

    assert erased({"account": "acme"}).why_not(letter({"userId": JO}, beside)) == ERASED


def test_a_whole_body_stays_out_if_anybody_in_it_was_erased() -> None:
    batch = json.dumps({"batch": [{"userId": "kim"}, {"userId": JO}]}).encode()
    known = erased({"user": user(JO)})

    assert known.why_not(letter(batch, WHOLE)) == ERASED_IN_BODY
    assert known.why_not(letter(gzip.compress(batch), WHOLE)) == ERASED_IN_BODY
    assert known.why_not(letter({"batch": [{"userId": "kim"}]}, WHOLE)) == ""
    assert known.why_not(letter({"userId": JO}, RequestFacts(whole=True, kind="track"))) == ERASED


@pytest.mark.parametrize(
    ("original", "facts"),
    [(b'{"userId":', RequestFacts()), (b'"text"', RequestFacts()), (b"\x1f\x8bbroken", WHOLE), (b"{}", WHOLE)],
)
def test_what_cannot_be_read_is_not_sent_once_somebody_was_erased(original: bytes, facts: RequestFacts) -> None:
    assert erased({"user": user(JO)}).why_not(letter(original, facts)) == UNREADABLE
    assert erased().why_not(letter(original, facts)) == ""


@pytest.mark.parametrize(
    "body",
    [b'{"batch":[' + b"{}," * 200_000 + b"{}]}", b'{"batch":[]' + b" " * 70_000_000 + b"}"],
    ids=["many", "long"],
)
def test_a_small_body_that_holds_more_than_ingest_can_be_set_to_take_is_not_read_to_its_end(body: bytes) -> None:
    assert erased({"user": user(JO)}).why_not(letter(gzip.compress(body, 1), WHOLE)) == UNREADABLE


def test_the_key_of_the_pseudonyms_is_read_once_for_all_letters() -> None:
    asked = []

    def key() -> Pseudonyms:
        asked.append(1)
        return PSEUDONYMS

    known = Erased(key, NAMES)
    known.note({"user": user(JO), "account": ""}, ORDERED)

    assert [known.why_not(letter({"userId": each})) for each in ("kim", JO, "lee")] == ["", ERASED, ""]
    assert asked == [1]


def test_records_of_lanes_stay_out_by_the_pseudonym_that_they_have() -> None:
    known = erased({"user": user(JO)}, {"account": "acme"})
    usage, link = codec.encoder("usage_event"), codec.encoder("user_link")
    said = {"source": "s", "environment": "production", "authority": "BROWSER", "occurred_at": 0, "received_at": 0}

    def why_not(record: bytes, key: bytes = b"globex") -> str:
        return known.why_not_record(record, key, ORDERED)

    assert why_not(usage(event("e", "globex", user(JO)))) == ERASED
    assert why_not(usage(event("e", "acme", user("kim")))) == ERASED
    assert why_not(usage(event("e", "globex", user("kim")))) == ""
    assert why_not(link({"kind": "SAME", "user": visitor("v"), "known_as": user(JO), **said})) == ERASED
    assert why_not(b"junk", user(JO).encode()) == why_not(b"junk", b"acme") == ERASED
    assert why_not(b"junk") == ""
    assert known.why_not(letter(usage(event("e", "acme")), topic="dead-letters")) == ERASED


@pytest.mark.parametrize("kind", ["FORGOTTEN", "SAME"])
def test_what_carries_an_erasure_out_is_appended_again(kind: str) -> None:
    link = codec.encoder("user_link")(
        {
            "kind": kind, "user": user(JO), "authority": "OPERATOR", "source": "operator", "environment": "production",
            "occurred_at": 0, "received_at": 0,
        }
    )  # fmt: skip

    assert erased({"user": user(JO)}).why_not_record(link, b"k", ORDERED) == ""


def test_the_key_of_the_pseudonyms_is_needed_only_if_a_person_was_erased() -> None:
    def none_here() -> Pseudonyms:
        raise Fatal("set TIDEMARK_PSEUDONYM_KEY")

    known = Erased(none_here, AccountNames())
    known.note({"user": "", "account": "acme"}, ORDERED)
    assert known.why_not(letter({"userId": JO})) == ""

    known.note({"user": user(JO), "account": ""}, ORDERED)
    assert known.why_not(letter({"userId": JO}, at=ORDERED + 1)) == ""
    with pytest.raises(Fatal, match="TIDEMARK_PSEUDONYM_KEY"):
        known.why_not(letter({"userId": JO}))


def test_an_order_of_nobody_covers_nothing() -> None:
    known = erased({"user": "", "account": ""})

    assert known.why_not(letter({"anonymousId": ""})) == ""
