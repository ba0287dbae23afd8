"""The weekly report as one file and one e-mail: they say the week, bounded, whatever names are sent."""

import email
import email.policy
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from services.console.report.contents import in_blocks
from services.console.report.mail import message
from services.console.report.rendering import ON_PAGE, mail_html, mail_text, page
from services.console.report.week import Week, read
from services.shared.errors import Rejected
from services.shared.wording import LANGUAGES
from services.warehouse.memory.store import MemoryStore
from tests.contract.warehouse.stored import T0, example, health
from tests.support.console import HOSTILE, filled
from tests.unit.console.report.weeks import DAY_MS, api_over, many, reader

GMAIL_SHOWS = 102_000


class Parsed(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_needs_nothing_else_and_runs_nothing(week: Week, language: str) -> None:
    text = page(week, reader(language))
    parsed = Parsed(text)
    names = {tag for tag, _ in parsed.tags}
    policy = next(each["content"] for tag, each in parsed.tags if tag == "meta" and "http-equiv" in each)

    assert not names & {"script", "link", "img", "iframe", "form", "object", "a"}
    assert not any(name.startswith("on") or name == "style" for _, attributes in parsed.tags for name in attributes)
    assert "url(" not in text
    assert "@import" not in text
    assert policy is not None
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-\S+'; base-uri 'none'; form-action 'none'", policy)
    assert f'<html lang="{language}">' in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("made", [page, mail_html])
async def test_what_is_counted_is_said_with_its_number(week: Week, made: Any, language: str) -> None:
    said = " ".join(Parsed(made(week, reader(language))).texts)

    assert reader(language).words("portfolio.over_time_revenue", len(week.base)) in said
    assert "None" not in said


async def test_links_lead_to_the_console_that_is_named(week: Week) -> None:
    parsed = Parsed(page(week, reader(link="https://tidemark.example")))
    addresses = {each["href"] for tag, each in parsed.tags if tag == "a"}

    assert "https://tidemark.example/accounts/fell" in addresses
    assert all(each and each.startswith("https://tidemark.example/") for each in addresses)


@pytest.mark.parametrize("made", [page, mail_html])
async def test_hostile_names_are_text(made: Any) -> None:
    week = await read(api_over(filled(["acme", *HOSTILE])))
    before, after = Parsed(made(await read(api_over(filled(["acme"]))), reader())), Parsed(made(week, reader()))

    assert {tag for tag, _ in after.tags} <= {tag for tag, _ in before.tags} | {"p", "span"}
    assert not any(name.startswith("on") for _, attributes in after.tags for name in attributes)
    said = " ".join(after.texts)
    assert all(each in said for each in HOSTILE if len(each) < 60 and each.isprintable())
    assert "gnp.exe حساب" in said
    assert "\u202e" not in said
    assert "x" * 301 not in said


async def test_an_email_has_text_and_html_that_mail_programs_show(week: Week) -> None:
    made = email.message_from_bytes(
        message(
            week, reader("pt"), sender="t@tidemark.example", recipients=["Nora <nora@acme.example>", "b@acme.example"]
        ),
        policy=email.policy.default,
    )
    text, html = made.iter_parts()

    assert made.get_content_type() == "multipart/alternative"
    assert made["Subject"].startswith("Carteira, semana até")
    assert made["To"] == "Nora <nora@acme.example>, b@acme.example"
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "Fell" in text.get_content()
    names = {tag for tag, _ in Parsed(html.get_content()).tags}
    assert not names & {"svg", "script", "link", "img", "style", "form"}
    assert "bgcolor" in html.get_content()


async def test_a_subject_holds_no_second_header() -> None:
    owner = "Nora\r\nBcc: all@acme.example"
    store = MemoryStore()
    facts = example("account_health/examples/red.json")["facts"] | {"owner": owner}
    store.insert("account_health", [health(0, "acme", facts=facts, sequence=1)])
    made = email.message_from_bytes(message(await read(api_over(store), owner=owner), reader()))

    assert made["Bcc"] is None
    assert made["X-Unsent"] == "1"


@pytest.mark.parametrize("address", ["nora", "a@b\r\nBcc: c@d.example", "", "a@, b@c.example"])
async def test_what_is_no_address_is_refused_by_name(week: Week, address: str) -> None:
    if not address:
        assert message(week, reader(), recipients=[])
        return
    with pytest.raises(Rejected) as refused:
        message(week, reader(), recipients=[address])
    assert refused.value.field == "recipient"


async def test_each_account_that_is_listed_as_changed_says_why() -> None:
    store = MemoryStore()
    day, (first, *rest) = T0 // DAY_MS, example("account_health/examples/red.json")["parts"]
    for number in range(70):
        for back, tenths in ((8, 300), (7, 300), (0, 100)):
            parts = [{**first, "contribution_tenths": tenths}, *rest]
            made = {"parts": parts, "score_tenths": tenths, "at": T0 - back * DAY_MS, "day": day - back}
            store.insert("account_health", [health(10 * number + 9 - back, f"a{number}", sequence=9 - back, **made)])
    text = page(await read(api_over(store)), reader())

    reasons = re.findall(r'<td class="c-why">(.*?)</td>', text)
    assert len(reasons) == ON_PAGE.rows
    assert all("−20" in each for each in reasons)


def test_ten_thousand_accounts_leave_the_page_small_and_the_email_whole_in_gmail() -> None:
    week, one = many(10_000, "An account with a name of usual length"), reader(link="https://tidemark.example")

    assert len(page(week, one).encode()) < 400_000
    assert len(mail_html(week, one).encode()) < GMAIL_SHOWS
    assert len(mail_text(week, one)) < GMAIL_SHOWS


def test_a_list_that_is_cut_says_where_it_goes_on() -> None:
    week = many(10_000, "Company")
    path = "https://tidemark.example/portfolio?sort=signals"

    for told in (page, mail_html):
        links = [
            given.get("href")
            for tag, given in Parsed(told(week, reader(link="https://tidemark.example"))).tags
            if tag == "a"
        ]
        assert path in links
        assert not any("sort=change" in (each or "") for each in links), (
            "that is since the last snapshot, not in the week"
        )
    assert path in mail_text(week, reader(link="https://tidemark.example"))
    assert "/portfolio?" not in page(week, reader())
    theirs = replace(week, owner="No & ra")
    assert "sort=signals&amp;owner=No+%26+ra" in page(theirs, reader(link="https://tidemark.example"))


def test_the_longest_names_do_not_make_them_large() -> None:
    week, one = many(200, "<&\"'" * 2_500), reader()

    assert len(page(week, one).encode()) < 1_500_000
    assert len(mail_html(week, one).encode()) < 2 * GMAIL_SHOWS


def test_scores_are_drawn_as_characters() -> None:
    weeks = [None, *({"day": "", "score": score, "band": "RED"} for score in (0.0, 50.0, 100.0))]

    assert in_blocks(weeks) == "·▁▄█"
