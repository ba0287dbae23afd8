"""What 'Was it right?' says of judgements; tests/unit/console/test_account_page.py has its back-tests."""

import pytest

from services.console.api_client import Api, ApiError
from tests.support.console import app_over, filled
from tests.unit.console.test_pages import client_of
from tests.unit.console.test_today import judge


async def test_judgements_are_counted_by_rule_and_of_each_account() -> None:
    store = filled(["acme", "globex"])
    judge(store, 960, "not_useful")
    judge(store, 961, "useful", account="globex")
    async with client_of(app_over(store)) as client:
        page = (await client.get("/right")).text

    assert '<td class="num">1</td><td class="num">1</td>' in page


async def test_judgements_that_the_api_does_not_tell_are_not_taken_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(api: Api, path: str) -> None:
        raise ApiError(503, "unavailable", "", "too much at once")

    store = filled(["acme"])
    async with client_of(app_over(store)) as client:
        none = (await client.get("/right")).text
        monkeypatch.setattr(Api, "get_recent", refused)
        unknown = (await client.get("/right")).text

    assert "Nobody has judged" in none
    assert "Nobody has judged" not in unknown
    assert "does not answer" in unknown
