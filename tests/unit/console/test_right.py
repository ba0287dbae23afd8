"""What 'Was it right?' says of judgements and of losses that it cannot read, and which back-tests it refuses to start."""

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


async def test_a_list_that_is_too_large_or_none_is_refused_before_anything_starts() -> None:
    async with client_of(app_over(filled(["acme"]))) as client:
        large = await client.post("/right", files={"lost": ("lost.csv", b"x" * 4_100_000)})
        binary = await client.post("/right", files={"lost": ("lost.xlsx", b"PK\0\0")})
        none = await client.post("/right", data={"a": "b"})

        assert (large.status_code, binary.status_code, none.status_code) == (413, 400, 400)
        assert "run-title" not in (await client.get("/right")).text


async def test_a_loss_of_a_day_that_cannot_be_told_is_left_out_of_the_list(tmp_path: Path) -> None:
    store = filled(["acme", "globex"])
    losses = [("acme", "1969-12-31"), ("globex", "2025-11-08")]
    rows = [
        event(n, f"l{n}", account=account, name="Account Lost", properties=f'{{"date":"{day}"}}')
        for n, (account, day) in enumerate(losses, 900)
    ]
    store.insert("events", rows)
    (history := tmp_path / "events.csv").write_text("account,user,timestamp\n")

    async with client_of(app_over(store, ConsoleSettings(history=str(history)))) as client:
        page = await client.get("/right")

    assert page.status_code == 200
    assert "Take the one loss on record as the list" in page.text


async def test_a_back_test_that_cannot_run_is_said_before_it_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = filled(["acme"])
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.delenv("CLICKHOUSE_URL", raising=False)
    (events := tmp_path / "events.csv").write_text("account,user,timestamp\n")
    for history, said in (
        ("log", "the log cannot be reached"),
        ("warehouse", "none is set up"),
        ("off", "turned off"),
        (str(tmp_path / "gone.csv"), "and there is none"),
        (str(events), ""),
    ):
        async with client_of(app_over(store, ConsoleSettings(history=history))) as client:
            page = (await client.get("/right")).text
            started = await client.post("/right", files={"lost": ("lost.csv", b"a,b")}) if said else None

        assert said in page
        assert ("multipart/form-data" in page) == (not said)
        assert started is None or (started.status_code, "run-title" in started.text) == (409, False)
