"""What attribution is told, and how often."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import USAGE_UNATTRIBUTED
from services.ingest.domain.personal import UserLink
from services.ingest.event_log.memory import MemoryEventLog
from services.ingest.links import SentLinks, subject_of, weight_of
from services.ingest.metrics import IngestMetrics
from services.ingest.service import IngestService
from services.ingest.submission import Submission
from services.ingest.write_keys.keys import WriteKey
from services.shared.errors import Retryable
from services.shared.units import HOUR_MS, MINUTE_MS
from tests.support.ingest import AnyTerms, rules, visitor
from tests.support.ingest import user as user_of


def link(kind: str, number: int = 0) -> UserLink:
    return UserLink(kind, f"u{number}", True, "acme", "", "SERVER", "production")


def test_a_hint_is_sent_again_only_once_it_was_forgotten() -> None:
    sent = SentLinks(remembered_bytes=2 * weight_of(link("NAMED")))
    assert sent.is_news(link("NAMED"), {})

    sent.sent([link("NAMED")])
    assert not sent.is_news(link("NAMED"), {})
    assert sent.is_news(link("NAMED", 1), {})

    sent.sent([link("NAMED", 1), link("NAMED", 2)])
    assert sent.is_news(link("NAMED"), {})
    assert not sent.is_news(link("NAMED", 2), {})


def test_memberships_are_always_sent_since_their_order_matters() -> None:
    sent = SentLinks()
    sent.sent([link("MEMBER")])

    assert sent.is_news(link("MEMBER"), {})


def test_what_another_environment_or_authority_said_is_news() -> None:
    sent = SentLinks()
    sent.sent([link("NAMED")])

    assert sent.is_news(msgspec.structs.replace(link("NAMED"), authority="BROWSER"), {})
    assert sent.is_news(msgspec.structs.replace(link("NAMED"), environment="staging"), {})


def test_a_second_login_after_another_users_is_news_since_the_later_counts() -> None:
    sent = SentLinks()
    kim, lee = (UserLink("SAME", "u_anon", False, "", user, "BROWSER", "production") for user in ("u_kim", "u_lee"))
    sent.sent([kim])
    assert not sent.is_news(kim, {})
    assert sent.is_news(kim, {subject_of(lee): lee})

    sent.sent([lee])

    assert sent.is_news(kim, {})
    assert not sent.is_news(lee, {})


def same(user: str, **changes: Any) -> UserLink:
    return msgspec.structs.replace(UserLink("SAME", "u_anon", False, "", user, "BROWSER", "production"), **changes)


@pytest.mark.parametrize("login", [True, False])
def test_of_logins_that_reach_several_processes_the_later_counts(login: bool) -> None:
    """One process knows nothing of what another has sent in between: it may keep no login back for long."""
    log: list[str] = []
    one, other = SentLinks(), SentLinks()

    def send(process: SentLinks, link: UserLink, at_ms: int) -> None:
        process.now(at_ms)
        if process.is_news(link, {}):
            log.append(link.known_as)
            process.sent([link])

    kim, lee = same("u_kim", login=login), same("u_lee", login=login)
    send(one, kim, MINUTE_MS)
    send(other, lee, 2 * MINUTE_MS)
    send(one, kim, 3 * MINUTE_MS)
    assert log[-1] == ("u_kim" if login else "u_lee")

    send(one, kim, 11 * MINUTE_MS)

    assert log[-1] == "u_kim"


def test_after_a_login_the_events_that_show_it_are_no_news() -> None:
    sent = SentLinks()
    login = same("u_kim", login=True)
    assert not sent.is_news(same("u_kim"), {subject_of(login): login})
    sent.sent([login])

    assert not sent.is_news(same("u_kim"), {})
    assert sent.is_news(same("u_kim", internal=True), {})
    assert sent.is_news(login, {})


def test_that_the_plan_leaves_a_user_out_is_news() -> None:
    sent = SentLinks()
    sent.sent([link("NAMED")])

    assert sent.is_news(msgspec.structs.replace(link("NAMED"), internal=True), {})


@pytest.mark.parametrize("careful", [False, True])
async def test_a_link_that_the_log_did_not_take_is_sent_again_with_the_next_event(careful: bool) -> None:
    log, key = MemoryEventLog(), WriteKey("", "web")
    ingest = IngestService(
        event_log=log, rules=rules(), metrics=IngestMetrics(CollectorRegistry()), clock_ms=lambda: 1_800_000_000_000,
        assign_id=str,
    )  # fmt: skip
    sent = 0

    async def send(*users: str) -> None:
        nonlocal sent
        batch: list[dict[str, Any]] = []
        for user in users:
            sent += 1
            call = {"type": "track", "event": "x", "userId": user, "anonymousId": f"a-{user}", "messageId": f"m{sent}"}
            batch.append({**call, **({"unheardOf": 1} if careful else {})})
        await ingest.submit(Submission(msgspec.json.encode({"batch": batch})), key, AnyTerms(key))

    def links() -> list[str]:
        found = [codec.decode(record.value) for record in log.records[USAGE_UNATTRIBUTED]]
        return [value["known_as"] for kind, value in found if kind == "user_link"]

    log.refuse("away")  # the log takes nothing
    with pytest.raises(Retryable):
        await send("kim")
    log.accept()
    log.stalled_keys = {visitor("a-kim").encode()}  # the partition of the link takes nothing
    await send("kim", "lee")
    assert links() == [user_of("lee")]

    log.stalled_keys = set()
    await send("kim", "lee")
    assert links()[1:] == [user_of("kim"), user_of("lee")]
    await send("kim", "lee")
    assert len(links()) == 3


def test_what_was_sent_hours_ago_is_sent_again() -> None:
    sent = SentLinks()
    sent.now(1_000)
    sent.sent([link("NAMED")])
    sent.now(1_000 + 5 * HOUR_MS)
    assert not sent.is_news(link("NAMED"), {})

    sent.now(1_000 + 6 * HOUR_MS)
    assert sent.is_news(link("NAMED"), {})


def test_long_accounts_take_no_more_memory_than_short_ones() -> None:
    sent, most = SentLinks(), 0
    for number in range(100_000):
        sent.sent([msgspec.structs.replace(link("NAMED", number), account=f"{number:06d}" + "\U0001f600" * 250)])
        most = max(most, len(sent._sent))

    assert most * 1_100 < 80 << 20


@pytest.mark.parametrize("later_ms", [11 * MINUTE_MS, 6 * HOUR_MS])
def test_what_was_sent_while_the_clock_was_ahead_is_forgotten_once_it_is_right(later_ms: int) -> None:
    sent, right = SentLinks(), 1_000 * HOUR_MS
    sent.now(right + 2_400 * HOUR_MS)
    sent.sent([same("u_kim"), link("NAMED")])

    sent.now(right + later_ms)

    assert sent.is_news(same("u_kim"), {})
    assert sent.is_news(link("NAMED"), {})


def test_a_clock_that_is_set_back_a_little_makes_nothing_news() -> None:
    sent = SentLinks()
    sent.now(HOUR_MS)
    sent.sent([link("NAMED")])
    sent.now(HOUR_MS - 500)

    assert not sent.is_news(link("NAMED"), {})
