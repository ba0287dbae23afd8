"""Who events belong to, what a page may keep to itself, and what the tracker leaves in it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _owners(tracking: Any) -> list[tuple[str, str, str]]:
    return [(event["name"] or event["kind"], event["account"], event["user"]) for event in tracking.events()]


async def test_every_event_carries_the_user_and_the_account_that_the_tag_names(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))
    await tracking.until_paths("/")

    await page.evaluate("tidemark.track('Report Shared', {kind: 'weekly'})")

    await tracking.until_named("Report Shared")
    assert _owners(tracking) == [("PAGE", "acme", "ada"), ("Report Shared", "acme", "ada")]


async def test_calls_set_the_user_and_the_account_and_later_pages_know_them(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/"))
    await tracking.until_paths("/")
    (anonymous,) = {event["user"] for event in tracking.events()}

    await page.evaluate("tidemark.identify(7, {role: 'admin'})")
    await page.evaluate("tidemark.group('acme', {plan: 'pro'})")
    await page.evaluate("tidemark.track('A')")
    await page.goto(tracking.site.page("/next"))
    await tracking.until_paths("/", "/next")

    seen = [each for each in _owners(tracking) if each[0] != "Page Left"]  # told where the page took a second
    assert seen == [
        ("PAGE", "", anonymous),
        ("IDENTIFY", "", "7"),
        ("GROUP", "acme", "7"),
        ("A", "acme", "7"),
        ("PAGE", "acme", "7"),
    ]
    identify, group = tracking.events()[1:3]
    assert (identify["properties"], group["properties"]) == ({"role": "admin"}, {"plan": "pro"})
    assert identify["anonymousId"] == anonymous


async def test_calls_made_before_the_tracker_has_loaded_are_not_lost(tracking: Any) -> None:
    head = """<script>(window.tidemark = window.tidemark || []).push(["identify", "ada"], ["group", "acme"])
        tidemark.push(["track", "Early", {n: 1}])</script>"""
    page = await tracking.open(tracking.site.page("/", head=head))
    await tracking.until_paths("/")
    await page.evaluate("tidemark.push(['track', 'Late'])")

    await tracking.until_named("Late")
    assert [(name, account) for name, account, _ in _owners(tracking)] == [
        ("IDENTIFY", ""),
        ("GROUP", "acme"),
        ("Early", "acme"),
        ("PAGE", "acme"),
        ("Late", "acme"),
    ]


async def test_another_user_of_the_browser_gets_nothing_of_the_one_before(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))
    await tracking.until_paths("/")

    await page.goto(tracking.site.page("/bob", user="bob"))
    await tracking.until_paths("/", "/bob")
    await page.goto(tracking.site.page("/eve", user="eve", account="other"))
    await tracking.until_paths("/", "/bob", "/eve")
    await page.evaluate("tidemark.reset()")
    await page.evaluate("tidemark.track('After')")
    await tracking.until_named("After")

    ada, bob, eve, after = tracking.events()
    assert _owners(tracking)[:3] == [("PAGE", "acme", "ada"), ("PAGE", "", "bob"), ("PAGE", "other", "eve")]
    assert len({event["anonymousId"] for event in (ada, bob, eve)} | {after["user"]}) == 4
    assert after["account"] == ""


async def test_identify_without_an_id_keeps_the_user(tracking: Any) -> None:
    page = await tracking.open(tracking.site.page("/", user="ada", account="acme"))

    await page.evaluate("tidemark.identify(undefined, {role: 'admin'}); tidemark.identify(null); tidemark.group('')")
    await page.evaluate("tidemark.track('Done')")

    await tracking.until_named("Done")
    assert {(account, user) for _, account, user in _owners(tracking)} == {("acme", "ada")}


async def test_the_page_gets_one_global_of_the_name_that_it_chose(tracking: Any) -> None:
    names = "() => Object.getOwnPropertyNames(window)"
    bare = await tracking.context.new_page()
    await bare.goto(tracking.site.url + "/nothing")
    before = {*await bare.evaluate(names)}

    page = await tracking.open(tracking.site.page("/", name="usage"))
    await page.evaluate("usage.track('A')")
    await tracking.until_named("A")

    assert {*await page.evaluate(names)} - before == {"usage"}
    assert all(key.startswith("usage:") for key in await page.evaluate("Object.keys(localStorage)"))


async def test_a_second_tag_and_markup_of_others_change_nothing(tracking: Any) -> None:
    body = f"""<img name=currentScript data-key=wk data-host=https://elsewhere.invalid>
        <script defer src={tracking.site.ingest}/t.js data-key=wk></script>"""
    address = tracking.site.page("/", body)

    await tracking.open(address)

    await tracking.until_paths("/")
    assert len(tracking.gateway.posts()) == 1


async def test_a_strict_content_policy_is_enough(tracking: Any) -> None:
    policy = f"default-src 'none'; script-src 'self'; connect-src {tracking.site.ingest}"
    own = {"src": "/t.js", "host": tracking.site.ingest, "headers": {"content-security-policy": policy}}
    page = await tracking.open(tracking.site.page("/", **own))
    await tracking.until_paths("/")
    await page.goto(tracking.site.page("/next", **own))

    await tracking.until_paths("/", "/next")
    assert tracking.problems == []


async def test_a_tag_without_a_write_key_says_so(tracking: Any) -> None:
    await tracking.open(tracking.site.page("/", key=None))

    await until(lambda: tracking.problems, 10)
    assert tracking.problems == ["tidemark: the script tag needs data-key"]
