"""What 'Was it right?' says of judgements and of losses that it cannot read; tests/unit/console/test_account_page.py has its back-tests."""

from pathlib import Path

import pytest

from services.console.api_client import Api, ApiError
from services.console.settings import ConsoleSettings
from services.warehouse.memory import store as memory
from tests.contract.warehouse.stored import event
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


async def test_losses_that_do_not_fit_into_the_list_are_counted_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_LOSSES", 2)
    history = tmp_path / "events.jsonl"
    history.write_text("{}\n")
    store = filled(["acme"])
    said = '{"date":"2025-11-08"}'
    for number in range(4):
        lost = event(900 + number, f"l{number}", account=f"a{number}", name="Account Lost", properties=said)
        store.insert("events", [lost])

    async with client_of(app_over(store, ConsoleSettings(history=str(history)))) as client:
        page = (await client.get("/right")).text

    assert "Take the 2 losses on record as the list" in page
    assert "2 more accounts were recorded as lost before all of these" in page
