"""Every page over the store in memory: what it carries, and that nothing that was sent can act in it."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from schemas.measures import numbered
from services.console.api_client import Apart
from services.console.app import console_app
from services.console.assets import asset
from services.console.pages import ingest
from services.console.settings import ConsoleSettings
from services.shared.errors import Retryable
from services.shared.units import HOUR_MS
from services.warehouse.domain.rows import Place
from services.warehouse.http import overview
from services.warehouse.http.feed import Feed
from services.warehouse.memory import store as memory_store
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, event, example, health
from tests.support.console import HOSTILE, app_over, filled
from tests.support.health_rows import forgotten

PAGES = ["/", "/portfolio", "/ingest", "/waiting"]


class Found(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def client_of(app: Any, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8081", **options)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return filled(["acme", "globex", *HOSTILE])


@pytest.fixture
async def client(store: MemoryStore) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_over(store)) as opened:
        yield opened


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_nothing_inline_and_a_policy_that_forbids_it(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    page = Found(answer.text)

    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert page.all("style") == []
    assert [each for tag, each in page.tags if "style" in each or any(name.startswith("on") for name in each)] == []
    assert all(script.get("src", "").startswith("/static/") for script in page.all("script"))  # type: ignore[union-attr]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce is not None
    assert {each["hx-nonce"] for _, each in page.tags if any(name.startswith("hx-") for name in each)} <= {nonce[1]}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_one_heading_a_title_a_language_and_labels(client: httpx.AsyncClient, path: str) -> None:
    page = Found((await client.get(path, headers={"accept-language": "it"})).text)

    assert len(page.all("h1")) == 1
    assert page.all("html")[0]["lang"] == "it"
    labelled = {label.get("for") for label in page.all("label")}
    assert [each for each in page.all("input") if "id" in each and each["id"] not in labelled] == []
    assert [each for each in page.all("svg") if "aria-label" not in each and "aria-hidden" not in each] == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "pt", "it"])
async def test_hostile_names_stay_text_on_every_page(client: httpx.AsyncClient, path: str, language: str) -> None:
    answer = await client.get(path, headers={"accept-language": language})
    page = Found(answer.text)

    assert answer.status_code == 200
    assert page.all("img") == []
    assert len(page.all("script")) == 5
    told = re.sub(r'/static/\w+/|nonce="[^"]*"', "", answer.text)
    assert "49" not in told or "{{ 7*7 }}" in told


async def test_an_account_with_a_hostile_name_is_found_and_linked(client: httpx.AsyncClient) -> None:
    for name in HOSTILE:
        if len(name) > 200:
            continue
        answer = await client.get("/portfolio", params={"q": name}, headers={"hx-request": "true"})
        assert answer.status_code == 200, name
        links = [each["href"] for each in Found(answer.text).all("a") if (each["href"] or "").startswith("/accounts")]
        assert len(links) == 1, name


async def test_filters_and_order_stand_in_the_address_and_on_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/portfolio?band=red&band=yellow&stage=ongoing&sort=-score&q=acme&unknown=1")
    page = Found(answer.text)

    boxes = {each["value"] for each in page.all("input") if each.get("name") == "band" and "checked" in each}
    assert boxes == {"red", "yellow"}
    assert {each["value"] for each in page.all("input") if each.get("name") == "sort"} == {"-score"}
    assert "descending" in {each.get("aria-sort") for each in page.all("th")}


async def test_nobody_stands_in_a_picture_that_was_made_before_their_erasure() -> None:
    store = filled(["acme", "globex"])
    feed = Feed(lambda: store)
    async with client_of(app_over(store, feed=feed)) as client:
        assert "globex" in (await client.get("/portfolio?q=acme")).text
        store.insert("account_health", [forgotten(Place("account-health", 0, 99, T0), "globex")])
        assert "globex" in (await client.get("/portfolio?q=acme")).text  # the picture may be some minutes old
        feed.publish({}, erased=True)

        assert "globex" not in (await client.get("/portfolio?q=acme")).text


async def test_every_head_that_sorts_leads_to_a_list_in_that_order(client: httpx.AsyncClient) -> None:
    heads = [each for each in Found((await client.get("/portfolio?q=acme")).text).all("a") if "data-sort" in each]

    assert {"risk", "signals"} <= {each["data-sort"] for each in heads}
    for head in heads:
        answer = await client.get(head["href"] or "")
        assert answer.status_code == 200
        assert [each["aria-sort"] for each in Found(answer.text).all("th") if "aria-sort" in each], head


async def test_script_gets_the_list_alone_with_the_address_to_show(client: httpx.AsyncClient) -> None:
    answer = await client.get("/portfolio?q=acme&stage=&owner=", headers={"hx-request": "true"})

    assert answer.text.lstrip().startswith("<section")
    assert answer.headers["hx-replace-url"] == "/portfolio?q=acme"
    assert "hx-request" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/portfolio?sort=nonsense", "sort"),
        ("/portfolio?cursor=nonsense", "cursor"),
        ("/portfolio?band=purple", "band"),
        ("/portfolio?band=red&band=purple", "band"),
        ("/portfolio?stage=nonsense", "stage"),
        ("/portfolio?renews_within=45", "renews_within"),
        ("/portfolio?risk_tenth=2", "risk_tenth"),
    ],
)
async def test_an_address_that_asks_for_what_is_not_there_says_which_part(
    client: httpx.AsyncClient, address: str, words: str
) -> None:
    answer = await client.get(address)

    assert answer.status_code == 400
    assert words in answer.text


async def test_what_is_not_there_is_said(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere/at/all")

    assert answer.status_code == 404
    assert "There is no such page" in answer.text


async def test_while_the_store_is_away_the_page_says_so_and_that_nothing_is_lost() -> None:
    async with client_of(app_over(Retryable("the store is not open yet"))) as client:
        for path in PAGES:
            answer = await client.get(path)
            assert answer.status_code == 503, path
            assert "Nothing is lost" in answer.text
            assert answer.headers["retry-after"]


async def test_an_api_that_cannot_be_reached_is_said_and_no_error_of_the_console() -> None:
    app = console_app(Apart("http://127.0.0.1:1"), ConsoleSettings(), is_open=True)
    async with client_of(app) as client:
        answer = await client.get("/portfolio")

    assert answer.status_code == 503
    assert "does not answer" in answer.text


async def test_the_page_of_what_comes_in_says_from_which_hour_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    for number in range(12):
        at = T0 - number // 3 * HOUR_MS
        store.insert("events", [event(number, f"e{number}", name=f"Event {number}", received_at=at)])
    async with client_of(app_over(store)) as client:
        whole = (await client.get("/ingest?hours=168")).text
        for module in (memory_store, overview):
            monkeypatch.setattr(module, "MOST_ARRIVALS", 8)
        cut = (await client.get("/ingest?hours=168")).text

    said = "More came in than is listed at once. Shown are the hours since"
    assert said not in whole
    assert "2025-11-30T23:00:00.000Z" in cut[cut.index(said) :][:200]
    assert "Event 5" in cut
    assert "Event 6" not in cut


async def test_lists_of_what_comes_in_say_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(["acme"])
    for number in range(1, 4):
        lost: dict[str, Any] = {
            "topic": "usage-unattributed",
            "account": "",
            "name": f"Lost {number}",
            "received_at": T0,
        }
        store.insert("events", [event(number, f"e{number}", **lost)])
    async with client_of(app_over(store)) as client:
        whole = (await client.get("/ingest")).text
        monkeypatch.setattr(ingest, "_ROWS", 2)
        monkeypatch.setattr(ingest, "_REASONS", 1)
        cut = (await client.get("/ingest")).text

    assert "most frequent are shown" not in whole
    assert "The 2 most frequent are shown." in cut[cut.index('id="lost"') :]
    assert "Only the most frequent is shown." in cut[cut.index('id="refused"') : cut.index('id="lost"')]


async def test_without_any_account_each_page_says_what_to_do_first() -> None:
    async with client_of(app_over(MemoryStore())) as client:
        assert "tidemark demo" in (await client.get("/")).text
        assert "tidemark demo" in (await client.get("/portfolio")).text
        assert "curl -u WRITE_KEY:" in (await client.get("/ingest")).text
        assert len(Found((await client.get("/waiting")).text).all("pre")) >= 9


async def test_the_first_account_is_shown_as_soon_as_it_is_there() -> None:
    store = MemoryStore()
    async with client_of(app_over(store)) as client:
        before = (await client.get("/portfolio")).text
        store.insert("account_health", [health(1, "acme")])
        after = (await client.get("/portfolio")).text

    assert "No accounts yet" in before
    assert "As of" not in before
    assert "No accounts yet" not in after
    assert "/accounts/acme" in {each.get("href") for each in Found(after).all("a")}


async def test_preferences_are_kept_and_lead_back_to_the_page(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/preferences", data={"theme": "dark", "language": "it", "me": "Nora Lünd", "back": "/portfolio?band=red"}
    )
    page = (await client.get("/?mine=1")).text

    assert answer.status_code == 303
    assert answer.headers["location"] == "/portfolio?band=red"
    assert 'data-theme="dark"' in page
    assert 'lang="it"' in page
    assert all("HttpOnly" in each for each in answer.headers.get_list("set-cookie"))


@pytest.mark.parametrize(
    "back", ["//[", "//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
)
async def test_preferences_lead_back_to_this_site_only(client: httpx.AsyncClient, back: str) -> None:
    answer = await client.post("/preferences", data={"back": back})

    assert answer.headers["location"] == "/"


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/preferences", data={"theme": "dark"}, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_form_that_is_too_large_changes_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/preferences", data={"me": "x" * 100_000})

    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers


async def test_mine_asks_who_one_is_as_long_as_nobody_has_said(client: httpx.AsyncClient) -> None:
    page = Found((await client.get("/?mine=1")).text)

    assert {"acme", "globex"} <= {each["value"] for each in page.all("button") if each.get("name") == "me"}
    assert "me" not in {each["name"] for each in page.all("select")}, "all are offered already"


async def test_beyond_this_machine_every_page_leads_to_the_sign_in(store: MemoryStore) -> None:
    async with client_of(app_over(store, is_open=False)) as client:
        for path in PAGES:
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert (await client.get("/live")).status_code == 401
        page = await client.get("/sign-in")
        assert page.status_code == 200
        assert "acme" not in page.text
        assert (await client.post("/preferences", data={"theme": "dark"})).status_code == 303


async def test_assets_are_kept_for_good_and_sent_packed(client: httpx.AsyncClient) -> None:
    sizes = 0
    for name in ("console.css", "console.js", "vendor/htmx.min.js", "vendor/hx-csp.min.js"):
        answer = await client.get(asset(name), headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        sizes += int(answer.headers["content-length"])
    assert sizes < 50_000
    assert (await client.get("/static/x/../settings.py")).status_code == 404
    assert "immutable" not in (await client.get("/static/old/console.css")).headers.get("cache-control", "")


async def test_accounts_for_which_data_is_missing_are_named_and_listed() -> None:
    store = MemoryStore()
    for number in range(6):
        seats = {"seats": 25.0} if number == 0 else {}
        store.insert(
            "account_health", [health(number, f"a{number}", measures=numbered({"baseline_weeks": 9.0, **seats}))]
        )
    async with client_of(app_over(store)) as client:
        page = (await client.get("/waiting")).text
        listed = (await client.get("/portfolio?lacking=seats")).text

    assert "1 of 6" in page
    assert "and 2 more" in page
    assert "/portfolio?lacking=seats" in {each.get("href") for each in Found(page).all("a")}
    assert "All kinds of data come in, for every account" not in page
    assert "5 accounts without data on: Seats bought" in listed
    kept = [each for each in Found(listed).all("input") if each.get("name") == "lacking"]
    assert [each["value"] for each in kept] == ["seats"]


async def test_an_absence_of_an_account_does_not_tell_its_country() -> None:
    store = MemoryStore()
    away, told = {"calendar_level": 0.0, "absence_days_left": 5.0}, {"calendar_level": 1.0, "public_holidays_7": 0.0}
    for number, measures in enumerate([away, told]):
        store.insert("account_health", [health(number, f"a{number}", measures=numbered(measures))])
    async with client_of(app_over(store)) as client:
        page = (await client.get("/waiting")).text
        listed = (await client.get("/portfolio?lacking=public_holidays_7")).text

    row = page[page.index('<tr id="country">') :]
    assert "1 of 2" in row[: row.index("</tr>")]
    assert "1 account without data on: Countries" in listed


async def test_the_portfolio_is_narrowed_by_the_renewal_and_marks_who_is_away() -> None:
    store = MemoryStore()
    facts = example("account_health/examples/red.json")["facts"]
    days = {"absent_from": 20_420, "absent_until": 20_430}
    store.insert("account_health", [health(1, "near", facts=facts | {"renewal_day": 20_440}, dates=days)])
    store.insert("account_health", [health(2, "far", facts=facts | {"renewal_day": 20_900})])
    async with client_of(app_over(store)) as over:
        page = Found(text := (await over.get("/portfolio?renews_within=30")).text)

    links = {each.get("href") for each in page.all("a")}
    assert "/accounts/near" in links
    assert len([each for each in page.all("th") if each.get("scope") == "row"]) == 1
    assert "Away, as planned" in text


async def test_accounts_without_revenue_are_counted_on_the_axis_and_not_paid() -> None:
    facts = example("account_health/examples/red.json")["facts"] | {"revenue": None}
    poor = MemoryStore()
    poor.insert("account_health", [health(number, f"a{number}", facts=facts) for number in range(4)])
    async with client_of(app_over(poor, ConsoleSettings.model_validate({"currency": "EUR"}))) as opened:
        page = (await opened.get("/portfolio")).text

    figure = page[page.index("Accounts by band") :].partition("</figure>")[0]
    assert ">4</text>" in figure
    assert "€" not in figure
