"""The weekly report in a real Chromium: no word runs into the next, and nothing is cut off on a phone or on paper."""

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from services.console.report.rendering import page as rendered
from services.console.report.week import read
from services.shared.wording import LANGUAGES
from tests.unit.console.report.weeks import api_over, reader, two_weeks

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

_TOO_LONG = """() => [...document.querySelectorAll(".work-facts dt")].filter((head) => {
    const words = document.createRange();
    words.selectNodeContents(head);
    return words.getBoundingClientRect().width > head.getBoundingClientRect().width + .5;
}).map((head) => head.textContent)"""
_CUT = """() => [...document.querySelectorAll(".report-rows :is(tbody th, td)")].filter((cell) => {
    const box = cell.closest(".wide-table").getBoundingClientRect();
    return cell.getBoundingClientRect().right > box.right + .5;
}).map((cell) => cell.textContent)"""


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_heads_of_what_is_known_of_an_account_do_not_run_into_each_other(
    browser: Browser, tmp_path: Path, language: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered(await read(api_over(two_weeks())), reader(language)), "utf-8")
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    await page.goto(file.as_uri())

    assert await page.locator(".work-facts dt").count() == 4
    assert await page.evaluate(_TOO_LONG) == []
    await page.close()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("media", "width"), [("screen", 390), ("screen", 650), ("screen", 830), ("print", 718), ("print", 500)]
)
async def test_no_column_is_cut_off_on_a_phone_or_on_paper(
    browser: Browser, tmp_path: Path, language: str, media: Any, width: int
) -> None:
    file = tmp_path / "report.html"
    file.write_text(rendered(await read(api_over(two_weeks())), reader(language)), "utf-8")
    context = await browser.new_context(viewport={"width": width, "height": 900})
    page = await context.new_page()
    await page.emulate_media(media=media)
    await page.goto(file.as_uri())

    assert await page.locator(".report-rows tbody tr").count() == 5
    assert await page.evaluate(_CUT) == []
    await context.close()
