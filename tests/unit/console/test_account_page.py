"""The page of an account over the store in memory: hostile ids, unknown ones, and forms that come from elsewhere."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from schemas.measures import numbered
from services.console.addresses import account_address
from services.console.pages import account as account_page
from services.console.panels.happenings import PEOPLE_DRAWN, PEOPLE_LISTED
from services.console.settings import ConsoleSettings
from services.shared.errors import Retryable
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.domain.filters import SignalFilter
from services.warehouse.memory.store import MemoryStore
from services.warehouse.ports import Page
from tests.contract.warehouse.stored import T0, event, health, signal
from tests.support.console import HOSTILE, app_over, filled
from tests.unit.console.test_pages import Found, client_of

NOTE = {"kind": "note", "text": "They moved", "author": "Ann"}


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return filled(["acme", "..", ".", *HOSTILE])


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(store)) as opened:
        yield opened


@pytest.mark.parametrize("account", ["acme", *HOSTILE])
async def test_an_account_of_any_id_has_a_page_in_which_its_name_does_nothing(
    client: httpx.AsyncClient, account: str
) -> None:
    answer = await client.get(account_address(account))
    page = Found(answer.text)

    assert answer.status_code == 200
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert {(script.get("src") or "").rpartition("/")[2] for script in page.all("script")} <= {
        "htmx.min.js", "hx-csp.min.js", "console.js", "news.js", "parts.js",
    }  # fmt: skip
    assert page.all("style") == page.all("img") == []
    assert [
        attributes
        for _, attributes in page.tags
        if "style" in attributes or any(n.startswith("on") for n in attributes)
    ] == []
    assert all(form.get("action") or form.get("method") == "dialog" for form in page.all("form"))


@pytest.mark.parametrize("account", ["..", "."])
async def test_an_id_that_browsers_take_for_a_folder_is_a_parameter(client: httpx.AsyncClient, account: str) -> None:
    answer = await client.get(account_address(account))

    assert answer.status_code == 200
    assert f'<input type="hidden" name="id" value="{account}">' in answer.text


@pytest.mark.parametrize("account", ["acme", *HOSTILE])
async def test_the_page_that_a_preference_returns_to_is_the_account_itself(
    client: httpx.AsyncClient, account: str
) -> None:
    back = next(
        field["value"] for field in Found((await client.get(account_address(account))).text).all("input")
        if field.get("name") == "back"
    )  # fmt: skip

    assert back is not None
    again = await client.get(back)
    assert again.status_code == 200
    assert re.findall("<h1[^>]*>(.*?)</h1>", again.text)


async def test_an_unknown_account_is_not_found_and_nothing_is_recorded_of_it(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accounts/nobody")

    assert answer.status_code == 404
    assert "“nobody”" in answer.text
    assert "/v1/" not in answer.text
    assert {"q": "nobody"} in [
        {each["name"]: each.get("value")} for each in Found(answer.text).all("input") if each.get("id") == "again"
    ]


async def test_an_account_of_another_environment_alone_is_told_why_it_has_no_health() -> None:
    store = MemoryStore()
    store.insert("events", [event(0, "e1", account="acme", environment="staging")])
    async with client_of(app_over(store)) as client:
        said = (await client.get("/accounts/acme")).text

    assert "events of another environment, such as staging, do not count" in said
    assert "midnight" not in said


async def test_a_day_before_the_first_is_not_one_of_an_account_that_never_was(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accounts/acme?at=2020-01-01")
    first = re.search(r"is known since ([^.<]+)\.", answer.text)

    assert answer.status_code == 404
    assert first is not None
    assert "Nothing was ever stored" not in answer.text
    assert "/accounts/acme" in {each.get("href") for each in Found(answer.text).all("a")}


@pytest.mark.parametrize(
    ("day", "said"),
    [("2199-12-25", "Dec 25, 2199 has not come yet"), ("soon", "“soon” is not a day"), ("20250303", "is not a day")],
)
async def test_a_day_that_cannot_be_shown_is_said(client: httpx.AsyncClient, day: str, said: str) -> None:
    answer = await client.get(f"/accounts/acme?at={day}")

    assert answer.status_code == 200
    assert said in answer.text


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert (await client.post("/accounts/acme", data=NOTE, headers=headers)).status_code == 403
        assert (await client.post("/right", data=NOTE, headers=headers)).status_code == 403


async def test_without_a_write_key_nothing_can_be_recorded_and_the_page_says_what_to_set(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/accounts/acme")).text
    refused = await client.post("/accounts/acme", data=NOTE)

    assert "TIDEMARK_CONSOLE_WRITE_KEY" in page
    assert refused.status_code == 422
    assert "They moved" not in page


@pytest.mark.parametrize(("text", "said"), [("漢" * 4_000, "ingest does not answer"), ("漢" * 9_000, "too large")])
async def test_the_longest_text_in_any_script_is_taken_and_a_larger_form_keeps_its_text(
    store: MemoryStore, text: str, said: str
) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(store, settings)) as client:
        answer = await client.post("/accounts/acme", data={"kind": "note", "author": "Ann", "text": text})

    assert said in answer.text
    assert answer.text.count("漢") >= 4_000


async def test_an_ingest_that_is_away_is_told_with_what_was_written(store: MemoryStore) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(store, settings)) as client:
        answer = await client.post("/accounts/acme", data=NOTE)

    assert answer.status_code == 503
    assert "They moved" in answer.text
    assert "ingest does not answer" in answer.text


async def test_a_form_that_is_refused_while_the_store_is_away_keeps_its_text_and_says_that_it_is_not_recorded() -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(Retryable("the store is not open yet"), settings)) as client:
        answer = await client.post("/accounts/acme", data=NOTE)

    assert answer.status_code == 503
    assert "Not recorded" in answer.text
    assert "They moved" in answer.text
    assert "what happens meanwhile is kept on the log" not in answer.text


async def test_an_open_signal_is_shown_however_many_others_came_and_went_since(store: MemoryStore) -> None:
    own = filled(["flappy"])
    title = "The oldest open one"
    own.insert("signals", [signal(900, "flappy", "nps", 1, "FIRING", title=title, episode_id="old", signal_id="old/1")])
    for number in range(110):
        said = {"episode_id": f"e{number}", "at": T0 + (number + 2) * HOUR_MS}
        pairs = ((1, "FIRING"), (2, "RESOLVED"))
        own.insert(
            "signals",
            [
                signal(1_000 + 2 * number + n, "flappy", "flap", n, to, **said, signal_id=f"e{number}/{n}")
                for n, to in pairs
            ],
        )
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/flappy")).text

    shown = page[page.index('class="works open-signals"') :]
    assert title in shown[: shown.index("</section>")]
    assert "112 signals in 30 weeks." in page


async def test_open_signals_stand_in_the_order_of_today_the_worst_first() -> None:
    own = filled(["acme"])
    told = [("WARNING", "Newer and milder"), ("CRITICAL", "Older and worse")]
    for number, (severity, title) in enumerate(told):
        made = {"severity": severity, "title": title, "episode_id": title, "signal_id": f"{title}/1"}
        began = T0 + (5 - number) * DAY_MS
        own.insert(
            "signals",
            [signal(900 + number, "acme", f"r{number}", 1, "FIRING", at=began, episode_started_at=began, **made)],
        )
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/acme")).text

    assert page.index("Older and worse") < page.index("Newer and milder")


async def test_a_signal_that_opens_while_the_page_is_made_is_shown() -> None:
    class JustBefore(MemoryStore):
        def signals(self, wanted: SignalFilter) -> Page:
            return Page([], 0) if wanted.open_only else super().signals(wanted)

    own = JustBefore()
    own.insert("account_health", [health(1, "acme")])
    own.insert("signals", [signal(2, "acme", "nps", 1, "FIRING", title="It has just opened")])
    async with client_of(app_over(own)) as client:
        page = await client.get("/accounts/acme")

    assert page.status_code == 200
    assert "It has just opened" in page.text[page.text.index('class="works open-signals"') :]


async def test_a_day_without_an_open_signal_says_so(store: MemoryStore) -> None:
    own = MemoryStore()
    own.insert("account_health", [health(1, "calm")])
    async with client_of(app_over(own)) as client:
        now = (await client.get("/accounts/calm")).text
        then = (await client.get(f"/accounts/calm?at={datetime.fromtimestamp(T0 / 1000, UTC).date()}")).text

    assert "No signal is open." in now
    assert "No signal was open on that day." in then


def active(account: str, person: int, days_ago: int) -> Any:
    at = T0 - days_ago * DAY_MS
    return event(5_000 + person, f"e{person}", account=account, user=f"u_{person:020}", occurred_at=at, received_at=at)


async def test_who_left_is_told_however_many_are_there_still() -> None:
    own = filled(["big"])
    own.insert("events", [active("big", person, 60 if person < 40 else 1) for person in range(140)])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/big")).text

    answer, panel = page[page.index('id="left"') :], page[page.index('id="panel-people"') :]
    assert "40 people left or are quiet." in answer
    assert "All 140 people" in answer
    assert "140 people in 30 weeks: 40 gone or quiet" in panel
    assert panel.partition("</figure>")[0].count("<tr>") == 1 + PEOPLE_LISTED
    assert f"{PEOPLE_LISTED - PEOPLE_DRAWN} more people are in the table." in panel


async def test_more_people_than_are_read_are_not_told_to_be_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_page, "PEOPLE", 3)
    own = filled(["big"])
    own.insert("events", [active("big", person, 60 if person < 4 else 1) for person in range(8)])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/big")).text

    answer = page[page.index('id="left"') :]
    assert (
        "Nobody has been missing for two weeks.</b> 3 are new. Counted are the 3 people who were active last." in answer
    )


async def test_regular_people_who_stopped_are_not_answered_with_nobody() -> None:
    """Signals count who misses seven working days, the list of people who is away for two weeks."""
    own = MemoryStore()
    own.insert("account_health", [health(1, "acme", measures=numbered({"regulars_gone": 3.0}))])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/acme")).text

    answer = page[page.index('id="left"') : page.index('id="risky"')]
    assert "Nobody has been missing for two weeks." in answer
    assert "3 regular people had missed seven working days or more" in answer


@pytest.mark.parametrize(
    ("counted", "told"),
    [
        ({"roles_gone": 1.0}, ["nobody of one role had been active for four weeks: name 1."]),
        (
            {"roles_gone": 0.0, "features_dropped": 2.0},
            ["2 features that had been in use were not used any more: name 1, name 2."],
        ),
        (
            {"features_dropped": 1.0, "roles_gone": 2.0},
            ["nobody of 2 roles had been", "one feature that had been in use"],
        ),
        ({"roles_gone": 0.0, "features_dropped": 0.0}, []),
        ({}, []),
    ],
)
async def test_roles_with_nobody_left_and_features_no_longer_used_are_told(
    counted: dict[str, float], told: list[str]
) -> None:
    own = MemoryStore()
    names = {measure: [f"name {n + 1}" for n in range(int(count))] for measure, count in counted.items()}
    own.insert("account_health", [health(1, "acme", measures=numbered(counted), counted=names)])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/acme")).text

    answer = page[page.index('id="left"') : page.index('id="risky"')]
    assert all(sentence in answer for sentence in told)
    assert ("of one role" in answer or "roles had" in answer) == bool(counted.get("roles_gone"))
    assert ("feature" in answer) == bool(counted.get("features_dropped"))


@pytest.mark.parametrize(
    ("silent", "active_again", "answer"),
    [
        (11.0, False, "Everyone: nobody has been active since Nov 20, 2025."),
        (9.0, False, "1 person left or is quiet."),
        (11.0, True, "1 person left or is quiet."),
    ],
)
async def test_an_account_that_is_silent_beyond_its_own_limit_has_lost_everyone(
    silent: float, active_again: bool, answer: str
) -> None:
    own = MemoryStore()
    own.insert("events", [active("acme", n, ago) for n, ago in enumerate((20, 11, 11, 1 if active_again else 11))])
    measures = numbered({"silent_days": silent, "silence_limit_days": 9.0})
    dates = {"first_activity": 20_012, "last_activity": T0 // DAY_MS - 11}
    own.insert("account_health", [health(1, "acme", measures=measures, dates=dates)])
    async with client_of(app_over(own)) as client:
        page = (await client.get("/accounts/acme")).text

    card = page[page.index('id="left"') : page.index('id="risky"')]
    assert f"<b>{answer}</b>" in card
    assert card.count("last active") == (3 if answer.startswith("Everyone") else 0)


async def test_the_reason_of_a_loss_and_the_end_of_an_absence_have_to_be_chosen(store: MemoryStore) -> None:
    settings = ConsoleSettings.model_validate({"ingest": "http://127.0.0.1:9", "write_key": "k"})
    async with client_of(app_over(store, settings)) as client:
        page = (await client.get("/accounts/acme")).text

    reason = page[page.index('<select name="reason"') :]
    assert reason.startswith('<select name="reason" required><option value="">Choose</option>')
    form = page[page.index('name="kind" value="absence"') :]
    ends = [each for each in Found(form).all("input") if each.get("name") == "to"]
    assert [(each["value"], "required" in each) for each in ends] == [("", True)]


async def test_a_past_day_before_anything_was_known_has_a_page_that_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/accounts/acme?at=1999-01-01")

    assert answer.status_code == 404


@pytest.mark.parametrize("query", ["at=soon", "from=x&to=y", "at=9999-12-31", "events=nonsense"])
async def test_an_address_that_was_mistyped_is_answered(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/accounts/acme?{query}")).status_code in {200, 400}
