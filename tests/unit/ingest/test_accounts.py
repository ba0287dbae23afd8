"""Aliases of accounts and e-mail domains: what the file may say, and what admission makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.accounts_file import load_accounts
from services.ingest.domain.accounts import AccountBook, read_accounts
from services.ingest.domain.admission import Admitted, admit
from services.ingest.domain.personal import UserLink
from services.ingest.domain.request import Request
from services.shared.errors import ConfigurationError
from tests.support.ingest import rules, user

BOOK = read_accounts({"aliases": {"crm-17": "acme"}, "domains": {"Acme.com": "crm-17", "globex.co.uk": "globex"}})


def taken(client: str = "server", **call: Any) -> Admitted:
    request = Request("app", "production", 1_764_550_923_412, client=client)
    raw = json.dumps({"type": "track", "event": "x", "messageId": "m", **call}).encode()
    return admit(raw, request, rules(accounts=BOOK), lambda: "assigned")


# the file


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"alias": {}}, "unknown field `alias`"),
        ({"aliases": {"a": 17}}, "put ids that look like numbers in quotes"),
        ({"aliases": {17: "a"}}, "put ids that look like numbers in quotes"),
        ({"aliases": {"a": "a"}}, "aliases: a: stands for itself"),
        ({"aliases": {"a": "b", "b": "c"}}, "aliases: a: b is an alias itself; name c"),
        (
            {"aliases": {"a": "b", "b": "a"}},
            "aliases: a: b is an alias itself; each stands for the other; leave one out",
        ),
        ({"aliases": {"a": ""}}, "neither may be empty"),
        ({"aliases": {"": "a"}}, "neither may be empty"),
        ({"domains": {"acme.com": ""}}, "domains: acme.com: the account is empty"),
        ({"domains": {"kim@acme.com": "acme"}}, "is no domain; write it as acme.com"),
        ({"domains": {"GMail.com": "acme"}}, "anybody can have an address there"),
        ({"domains": {"acme.com": "acme", "ACME.com": "globex"}}, "domains: ACME.com: there twice"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(config: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match="[a-z]") as raised:
        read_accounts(config)

    assert problem in str(raised.value)


def test_all_problems_are_said_at_once_with_the_name_of_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text("aliases: {a: a}\ndomains: {gmail.com: acme}\n")

    with pytest.raises(ConfigurationError) as raised:
        load_accounts(file)

    assert [problem.split(":")[0] for problem in raised.value.problems] == ["TIDEMARK_ACCOUNTS_FILE"] * 2


def test_without_a_file_ids_stand_for_themselves(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    for book in (load_accounts(None), load_accounts(tmp_path / "empty.yaml"), AccountBook()):
        assert (book.account("crm-17"), book.of_address("kim@acme.com")) == ("crm-17", "")


def test_a_fingerprint_is_of_what_the_file_says_and_not_of_its_order() -> None:
    one = read_accounts({"aliases": {"a": "x", "b": "y"}, "domains": {"acme.com": "x"}})

    assert one.fingerprint == read_accounts({"domains": {"ACME.com": "x"}, "aliases": {"b": "y", "a": "x"}}).fingerprint
    assert one.fingerprint != read_accounts({"aliases": {"a": "x", "b": "x"}}).fingerprint != AccountBook().fingerprint


# admission


def test_an_event_of_an_alias_is_one_of_its_account() -> None:
    admitted = taken(userId="kim", groupId="crm-17")

    assert (admitted.event["account"], admitted.event["via"], admitted.key) == ("acme", "EVENT", b"acme")
    assert admitted.links[0].account == "acme"


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "kim", "traits": {"email": "Kim@ACME.com"}},
        {"userId": "kim", "context": {"traits": {"email": "kim@acme.com"}}},
        {"userId": "kim@acme.com"},
    ],
)
def test_a_user_with_an_address_at_the_domain_of_an_account_belongs_to_it(call: dict[str, Any]) -> None:
    admitted = taken(**call)

    assert admitted.event["account"] == ""  # attribution decides: a group call counts for more
    assert admitted.links == [
        UserLink("MEMBER", user(call["userId"]), True, "acme", "", "SERVER", "production", "DOMAIN")
    ]
    assert admitted.links[0].repeats


@pytest.mark.parametrize(
    "call",
    [
        {"userId": "kim@globex.com"},
        {"userId": "acme.com"},
        {"userId": "@acme.com"},
        {"userId": "kim", "properties": {"email": "kim@acme.com"}},
        {"userId": "kim", "context": {"traits": "kim@acme.com"}},
        {"type": "identify", "userId": "kim", "traits": {"email": {"a": 1}}},
    ],
)
def test_what_is_no_address_at_a_known_domain_says_nothing(call: dict[str, Any]) -> None:
    assert taken(**call).links == []


def test_a_call_that_names_the_account_is_believed_and_the_domain_is_not() -> None:
    admitted = taken(type="identify", userId="kim@acme.com", traits={"email": "kim@acme.com"}, groupId="globex")

    assert (admitted.event["account"], [(said.account, said.via) for said in admitted.links]) == (
        "globex",
        [("globex", "EVENT")],
    )


def test_a_group_call_without_an_account_is_refused_whatever_the_address() -> None:
    with pytest.raises(Exception, match="groupId"):
        taken(type="group", userId="kim@acme.com")
