"""The snippets of docs/tracker.md do what the document says, copied out of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _snippets(tracking: Any, project_root: Path) -> list[str]:
    text = (project_root / "docs/tracker.md").read_text()
    blocks = re.findall(r"```html\n(.*?)```", text, re.DOTALL)
    return [
        block.replace("https://ingest.example", tracking.site.ingest).replace("WRITE_KEY", "wk") for block in blocks
    ]


async def test_the_first_snippet_and_a_declared_click(tracking: Any, project_root: Path) -> None:
    tag, _, button, *_ = _snippets(tracking, project_root)
    page = await tracking.open(tracking.site.plain("/copied", tag + button))

    await page.click("button")

    await tracking.until_paths("/copied")
    (shared,) = await tracking.until_named("Report Shared")
    assert shared["properties"] == {"report_kind": "weekly"}
    assert {(event["account"], event["user"]) for event in tracking.events()} == {("acme", "ada")}


async def test_the_pinned_script_and_calls_before_it_has_loaded(tracking: Any, project_root: Path) -> None:
    _, calls, _, _, pinned = _snippets(tracking, project_root)

    await tracking.open(tracking.site.plain("/pinned", calls + pinned))

    await tracking.until_paths("/pinned")
    identify, group, page = tracking.events()
    assert (identify["kind"], identify["properties"]) == ("IDENTIFY", {"role": "admin"})
    assert (group["kind"], group["properties"]) == ("GROUP", {"plan": "pro"})
    assert (page["account"], page["user"]) == ("acme", "ada")
    assert tracking.problems == []


async def test_the_image_without_script(tracking: Any, project_root: Path) -> None:
    image = _snippets(tracking, project_root)[3]
    quiet = await tracking.browser.new_context(java_script_enabled=False)
    page = await quiet.new_page()

    await page.goto(tracking.site.plain("/quiet", image))

    (event,) = tracking.events()
    assert (event["kind"], event["name"], event["account"]) == ("PAGE", "Pricing", "acme")
    await quiet.close()


async def test_a_page_that_was_changed_under_its_integrity_runs_nothing(tracking: Any, project_root: Path) -> None:
    """So the hash in the document is what the browser checks, and not an attribute that it ignores."""
    pinned = _snippets(tracking, project_root)[4]
    other = re.sub(r"sha384-.{8}", "sha384-AAAAAAAA", pinned)

    page = await tracking.open(tracking.site.plain("/changed", other))

    assert await page.evaluate("typeof tidemark") == "undefined"
