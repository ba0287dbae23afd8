"""Whose accounts are "mine": owners that are known, mistyped, new, or many."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.console.owners import meant, nearest_first
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import example, health
from tests.support.console import HOSTILE, app_over, filled
from tests.unit.console.test_pages import Found, client_of


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(filled(["acme", "globex", *HOSTILE]))) as opened:
        yield opened


async def test_of_many_owners_some_are_one_click_away_and_all_are_in_a_list() -> None:
    owners = [f"Owner {number:02}" for number in range(30)]
    store = MemoryStore()
    base = example("account_health/examples/red.json")
    store.insert(
        "account_health",
        [health(number, f"a{number}", facts={**base["facts"], "owner": owner}) for number, owner in enumerate(owners)],
    )
    async with client_of(app_over(store)) as client:
        page = Found((await client.get("/?mine=1")).text)

    assert [each["value"] for each in page.all("button") if each.get("name") == "me"] == owners[:24]
    assert [each["value"] for each in page.all("option") if (each["value"] or "").startswith("Owner")] == owners


async def test_an_owner_that_no_account_has_is_no_good_news(client: httpx.AsyncClient) -> None:
    """A name that was mistyped must not read as "Nothing needs attention"."""
    page = (await client.get("/?mine=1", headers={"cookie": "tidemark_me=Globx"})).text
    found = Found(page)

    assert "No account has the owner “Globx”." in page
    assert "Nothing needs attention" not in page
    assert {"acme", "globex"} <= {each.get("value") for each in found.all("button")}
    listed = (await client.get("/portfolio?owner=Globx")).text
    assert "No account has the owner “Globx”." in listed
    assert "/portfolio?owner=globex" in {each.get("href") for each in Found(listed).all("a")}


async def test_an_owner_is_known_in_any_case(client: httpx.AsyncClient) -> None:
    page = (await client.get("/?mine=1", headers={"cookie": "tidemark_me=GLOBEX"})).text

    assert "No account has" not in page
    assert 'class="work work-' in page


def test_owners_that_share_a_word_with_the_name_come_first() -> None:
    owners = ["Bea Costa", "Ana Reis", "Zoe Ana Lund"]

    assert nearest_first("ana", owners) == ["Ana Reis", "Zoe Ana Lund", "Bea Costa"]
    assert meant("ana reis ", owners) == "Ana Reis"
    assert meant("Ana", owners) == ""


async def test_an_owner_whose_first_account_has_just_come_is_known() -> None:
    """The list of all owners is that of some minutes ago, and has a thousand."""
    own = filled(["acme"])
    facts = example("account_health/examples/red.json")["facts"] | {"owner": "Zoe"}
    async with client_of(app_over(own), cookies={"tidemark_me": "Zoe"}) as opened:
        before = (await opened.get("/?mine=1")).text
        own.insert("account_health", [health(900, "new", facts=facts)])
        mine, listed = (await opened.get("/?mine=1")).text, (await opened.get("/portfolio?owner=Zoe&q=nothing")).text

    unknown = "No account has the owner “Zoe”."
    assert [unknown in page for page in (before, mine, listed)] == [True, False, False]
    assert "No signal of your accounts is open." in mine
    assert "No account matches these filters." in listed
