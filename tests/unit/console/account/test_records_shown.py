"""What people recorded, on the page of an account: losses, goals, judgements, and forms that are refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.console.account.records import KINDS
from services.console.pages.account import RECORDS, STANDING
from services.console.settings import ConsoleSettings
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event, health
from tests.support.console import app_over, filled
from tests.unit.console.test_pages import Found, client_of


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return filled(["acme"])


def judged(episode: str) -> dict[str, str]:
    return {"kind": "judged", "episode_id": episode, "rule": "usage_decline", "severity": "WARNING", "author": "Ann"}


async def test_the_enter_key_judges_no_signal(store: MemoryStore) -> None:
    """It presses the first button of a form, unless that one is disabled: then nothing is sent."""
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(store, settings)) as client:
        page = (await client.get("/accounts/acme")).text

    form = Found(page[page.index('<details class="record-mark"') :].partition("</form>")[0])
    buttons = form.all("button")
    assert [each.get("value") for each in buttons] == [None, "useful", "not_useful"]
    assert buttons[0].keys() == {"disabled", "hidden"}


@pytest.mark.parametrize(
    "said", [judged("closed meanwhile"), {"kind": "reached", "goal_id": "g", "goal": "Go", "author": "Ann"}]
)
async def test_what_was_said_of_a_signal_or_a_goal_that_is_not_there_any_more_is_refused_in_words(
    store: MemoryStore, said: dict[str, str]
) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(store, settings)) as client:
        answer = await client.post("/accounts/acme", data={"verdict": "useful", "text": "<They> moved", **said})
        bare = await client.post("/accounts/acme", data={"verdict": "useful", **said})

    assert answer.status_code == 503
    assert answer.text.count("ingest does not answer") == 1
    assert "&lt;They&gt; moved" in answer.text
    assert bare.status_code == 503


async def test_what_was_said_of_an_open_signal_is_refused_beside_it(store: MemoryStore) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    episode = f"acme/usage_decline/{T0}"
    async with client_of(app_over(store, settings)) as client:
        answer = await client.post(
            "/accounts/acme", data={"verdict": "useful", "text": "They moved", **judged(episode)}
        )

    assert answer.text.count("ingest does not answer") == 1
    assert "They moved" in answer.text.partition("ingest does not answer")[2]


async def test_pages_under_the_names_of_records_record_nothing_and_hide_no_record() -> None:
    own = filled(["acme"])
    note: dict[str, Any] = {
        "name": "Note Added",
        "properties": '{"text":"They will grow","author":"Ann"}',
        "occurred_at": T0,
    }
    own.insert("events", [event(900, "n1", account="acme", **note)])
    made_up = '{"date":"2026-01-01","reason":"price","text":"They are gone","author":"The boss"}'
    for offset, name in enumerate(("Account Lost", "Note Added"), 1):
        pages = [
            event(n, f"p{n}", account="acme", kind="PAGE", name=name, properties=made_up, occurred_at=T0 + n)
            for n in range(offset * 1_000, offset * 1_000 + RECORDS)
        ]
        own.insert("events", pages)

    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/acme")).text

    assert "They will grow" in page
    assert "The boss" not in page
    assert "banner lost" not in page


async def test_a_past_day_has_its_records_however_many_came_since() -> None:
    own = filled(["busy"])
    for number in range(RECORDS + 5):
        at = T0 + number * DAY_MS
        said: dict[str, Any] = {
            "name": KINDS["note"],
            "properties": msgspec.json.encode({"text": f"note-{number}-", "author": "Ann"}).decode(),
        }
        own.insert(
            "events", [event(5_000 + number, f"n{number}", account="busy", occurred_at=at, received_at=at, **said)]
        )
    day = datetime.fromtimestamp(T0 / 1000, UTC).date() + timedelta(days=2)
    async with client_of(app_over(own)) as client:
        page = (await client.get(f"/accounts/busy?at={day}")).text

    assert "note-1-" in page
    assert "note-4-" not in page


async def test_an_open_goal_can_be_marked_as_reached_however_much_was_recorded_since() -> None:
    own = filled(["busy"])
    told: list[tuple[str, dict[str, str]]] = [
        ("goal", {"goal": "Roll out"}),
        ("goal", {"goal": "Train all"}),
        ("reached", {"goal_id": "r1", "goal": "Train all"}),
        *(("note", {"text": f"note-{number}-"}) for number in range(RECORDS + 5)),
    ]
    for number, (kind, said) in enumerate(told):
        at = T0 + number * HOUR_MS
        row: dict[str, Any] = {"name": KINDS[kind], "properties": msgspec.json.encode(said).decode(), "occurred_at": at}
        own.insert("events", [event(5_000 + number, f"r{number}", account="busy", received_at=at, **row)])
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(own, settings)) as client:
        page = (await client.get("/accounts/busy")).text

    shown = page[page.index('id="records"') : page.index('id="events"')]
    assert 'name="goal_id" value="r0"' in shown
    assert "Train all" not in shown
    assert shown.count("note-") == 12


async def test_a_judgement_and_a_loss_are_shown_however_much_was_recorded_since() -> None:
    own = filled(["busy"])
    told: list[tuple[str, dict[str, str]]] = [
        ("judged", {"episode_id": f"busy/usage_decline/{T0}", "verdict": "not_useful", "author": "Ann"}),
        ("churn", {"date": "2025-11-08"}),
        *(("note", {"text": f"note-{number}-"}) for number in range(RECORDS + 5)),
    ]
    for number, (kind, said) in enumerate(told):
        at = T0 + number * HOUR_MS
        row: dict[str, Any] = {"name": KINDS[kind], "properties": msgspec.json.encode(said).decode(), "occurred_at": at}
        own.insert("events", [event(5_000 + number, f"r{number}", account="busy", received_at=at, **row)])
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(own, settings)) as client:
        page = (await client.get("/accounts/busy")).text

    assert "Judged not useful" in page[page.index("open-signals") :]
    assert "Lost on Nov 8, 2025." in page


@pytest.mark.parametrize("name", [",".join(KINDS.values()), ",".join(STANDING)])
async def test_an_event_whose_name_is_the_list_of_those_that_are_read_is_no_record(name: str) -> None:
    """A list in an address is also taken as one name, in which there are commas."""
    own = filled(["acme"])
    own.insert("events", [event(900, "n1", account="acme", name=name, properties='{"text":"hello"}')])
    async with client_of(app_over(own)) as client:
        page = await client.get("/accounts/acme")

    assert page.status_code == 200
    assert 'id="records"' not in page.text


@pytest.mark.parametrize("said", ['{"date":"2025-11-08"}', '{"date":"2025-11-08","reason":null}'])
async def test_a_loss_without_a_reason_is_shown(said: str) -> None:
    """A CRM need not know one, and nobody is made to say it in a plan that only counts what breaks it."""
    own = filled(["gone"])
    own.insert("events", [event(900, "l1", account="gone", name=KINDS["churn"], properties=said)])
    async with client_of(app_over(own)) as client:
        page = await client.get("/accounts/gone")

    assert page.status_code == 200
    assert "Lost on Nov 8, 2025." in page.text


async def test_the_loss_that_is_shown_is_that_of_today_and_back_tests() -> None:
    """Of each account the latest record that names a day since 1990, in any form of a date."""
    own = filled(["gone", "unclear", "mended"])
    records = [("gone", '"2025-11-08T23:00:00Z"'), ("gone", '"soon"'), ("unclear", '"1089-11-08"'), ("unclear", "null")]
    records += [("mended", '"2025-12-08"'), ("mended", '"2025-11-08"')]
    for number, (account, day) in enumerate(records):
        at = T0 + number * HOUR_MS
        row: dict[str, Any] = {"name": KINDS["churn"], "properties": f'{{"date":{day}}}', "occurred_at": at}
        own.insert("events", [event(900 + number, f"l{number}", account=account, **row)])
    own.insert("events", [event(990, "l9", account="seconds", name=KINDS["churn"], properties='{"date":1762560000}')])
    own.insert("account_health", [health(991, "seconds")])
    async with client_of(app_over(own)) as client:
        pages = {
            name: (await client.get(f"/accounts/{name}")).text for name in ("gone", "unclear", "mended", "seconds")
        }

    assert {name: "Lost on Nov 8, 2025." in page for name, page in pages.items()} == {
        "gone": True,
        "unclear": False,
        "mended": True,
        "seconds": True,
    }
    assert 'class="banner lost"' not in pages["unclear"]


async def test_a_lost_account_says_so_above_all(store: MemoryStore) -> None:
    own = filled(["gone", "leaves"])
    for number, (account, day) in enumerate({"gone": "2025-11-08", "leaves": "2099-01-01"}.items()):
        said = f'{{"date":"{day}","reason":"price"}}'
        own.insert("events", [event(900 + number, f"l{number}", account=account, name=KINDS["churn"], properties=said)])
    async with client_of(app_over(own)) as client:
        gone, leaves = (await client.get("/accounts/gone")).text, (await client.get("/accounts/leaves")).text

    assert "Lost on Nov 8, 2025." in gone[: gone.index('class="facts"')]
    assert "Price." in gone[: gone.index('class="facts"')]
    assert "Will be lost on Jan 1, 2099." in leaves
