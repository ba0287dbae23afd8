"""What attribution is told, and how often."""

from __future__ import annotations

from services.ingest.domain.personal import UserLink
from services.ingest.links import SentLinks, subject_of
from services.shared.units import HOUR_MS


def link(kind: str, number: int = 0) -> UserLink:
    return UserLink(kind, f"u{number}", True, "acme", "", "SERVER", "production")


def test_a_hint_is_sent_again_only_once_it_was_forgotten() -> None:
    sent = SentLinks(remembered=2)
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

    assert sent.is_news(link("NAMED")._replace(authority="BROWSER"), {})
    assert sent.is_news(link("NAMED")._replace(environment="staging"), {})


def test_a_second_login_after_another_users_is_news_since_the_later_counts() -> None:
    sent = SentLinks()
    kim, lee = (UserLink("SAME", "u_anon", False, "", user, "BROWSER", "production") for user in ("u_kim", "u_lee"))
    sent.sent([kim])
    assert not sent.is_news(kim, {})
    assert sent.is_news(kim, {subject_of(lee): lee})

    sent.sent([lee])

    assert sent.is_news(kim, {})
    assert not sent.is_news(lee, {})


def test_what_was_sent_hours_ago_is_sent_again() -> None:
    sent = SentLinks()
    sent.now(1_000)
    sent.sent([link("NAMED")])
    sent.now(1_000 + 5 * HOUR_MS)
    assert not sent.is_news(link("NAMED"), {})

    sent.now(1_000 + 6 * HOUR_MS)
    assert sent.is_news(link("NAMED"), {})
