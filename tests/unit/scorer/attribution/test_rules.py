"""Whose account an event belongs to: the rules of docs/attribution.md, one by one."""

from __future__ import annotations

import pytest

from services.scorer.domain.attribution.membership import MOST_ID_BYTES, MOST_MEMBERSHIPS, MOST_NAMED, NO_ACCOUNT
from tests.support.attribution import ANON, KIM, AttributionLane
from tests.support.scorer import at

# by time


def test_an_event_goes_to_the_account_of_its_user(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == [("e1", "acme")]


def test_what_came_before_the_first_group_call_waits_for_it(lane: AttributionLane) -> None:
    lane.event("e1", when=at(0, 1))
    assert lane.forwarded == []

    lane.member("acme", at(0, 2))

    assert lane.forwarded == [("e1", "acme")]
    assert len(lane.state.waiting) == 0


def test_an_event_goes_to_the_account_that_its_user_had_when_it_happened(lane: AttributionLane) -> None:
    lane.member("acme", at(0, 1))
    lane.member("globex", at(0, 5))

    for hour in (0, 1, 4, 5, 6):
        lane.event(f"e{hour}", when=at(0, hour))

    assert [account for _, account in lane.forwarded] == ["acme", "acme", "acme", "globex", "globex"]


def test_the_order_in_which_group_calls_arrive_does_not_matter(lane: AttributionLane) -> None:
    for account, hour in (("acme", 1), ("acme", 5), ("globex", 3)):
        lane.member(account, at(0, hour))

    for hour in (2, 4, 6):
        lane.event(f"e{hour}", when=at(0, hour))

    assert [account for _, account in lane.forwarded] == ["acme", "globex", "acme"]


def test_of_two_group_calls_of_one_moment_the_later_record_counts(lane: AttributionLane) -> None:
    lane.member("acme", at(0, 1))
    lane.member("globex", at(0, 1))
    lane.event("before", when=at(0, 0.5))
    lane.event("after", when=at(0, 2))

    assert lane.forwarded == [("before", "globex"), ("after", "globex")]


def test_of_many_memberships_the_oldest_are_merged_away(lane: AttributionLane) -> None:
    for number in range(MOST_MEMBERSHIPS + 2):
        lane.member(f"a{number}", at(0, number))

    lane.event("early", when=at(0, 0.5))
    lane.event("late", when=at(1))

    assert lane.forwarded == [("early", "a2"), ("late", f"a{MOST_MEMBERSHIPS + 1}")]
    user = lane.state.users.get(KIM)
    assert user is not None
    assert len(user.stays) == MOST_MEMBERSHIPS


# accounts that events name


def test_the_one_account_that_events_of_a_user_name_is_the_users(lane: AttributionLane) -> None:
    lane.event("e1")
    lane.link("NAMED", account="acme")

    assert lane.forwarded == [("e1", "acme")]


def test_of_several_accounts_that_events_name_none_is_guessed(lane: AttributionLane) -> None:
    lane.link("NAMED", account="acme")
    lane.link("NAMED", account="globex")
    lane.event("e1")
    assert lane.forwarded == []

    lane.tick(at(7))

    assert lane.unresolved == [("e1", "several_accounts")]


def test_more_accounts_than_are_kept_are_several(lane: AttributionLane) -> None:
    for number in range(MOST_NAMED + 1):
        lane.link("NAMED", account=f"a{number}")
    lane.aliases(**{f"a{number}": "acme" for number in range(MOST_NAMED)})

    lane.event("e1")

    assert lane.forwarded == []


def test_a_group_call_decides_among_the_accounts_that_events_name(lane: AttributionLane) -> None:
    lane.link("NAMED", account="acme")
    lane.link("NAMED", account="globex")
    lane.event("e1")

    lane.member("globex", authority="BROWSER")

    assert lane.forwarded == [("e1", "globex")]


def test_a_browser_cannot_add_to_the_accounts_that_a_server_names(lane: AttributionLane) -> None:
    lane.link("NAMED", account="acme", authority="SERVER")
    lane.member("evil", authority="BROWSER")

    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]


# authority


def test_what_a_browsers_events_name_says_nothing_once_a_servers_have_named_an_account(lane: AttributionLane) -> None:
    lane.link("NAMED", account="acme", authority="SERVER")
    lane.link("NAMED", account="evil", authority="BROWSER")
    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]
    assert lane.state.ledger.links_ignored == 1


def test_what_a_servers_events_name_takes_the_place_of_what_a_browsers_named(lane: AttributionLane) -> None:
    lane.link("NAMED", account="evil", authority="BROWSER")
    lane.link("NAMED", account="acme", authority="SERVER")
    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]


def test_what_a_browser_says_never_overrides_a_server(lane: AttributionLane) -> None:
    lane.member("acme", authority="SERVER")
    lane.member("evil", at(0, 1), authority="BROWSER")

    lane.event("e1", when=at(0, 2))

    assert lane.forwarded == [("e1", "acme")]
    assert lane.state.ledger.links_ignored == 1


def test_the_account_that_a_browsers_events_name_does_not_override_a_servers_group_call(lane: AttributionLane) -> None:
    lane.member("acme", authority="SERVER")
    lane.link("NAMED", account="globex", authority="BROWSER")
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == [("e1", "acme")]


def test_a_group_call_comes_before_the_account_that_events_of_the_same_authority_name(lane: AttributionLane) -> None:
    lane.link("NAMED", account="globex")
    lane.member("acme")
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == [("e1", "acme")]


def test_the_only_account_of_a_user_is_kept_however_long_its_id_is(lane: AttributionLane) -> None:
    lane.member("a" * (MOST_ID_BYTES + 1))
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == [("e1", "a" * (MOST_ID_BYTES + 1))]


def test_a_known_user_of_whom_no_account_is_said_has_none_and_not_several(lane: AttributionLane) -> None:
    lane.member("acme", authority="OPERATOR", via="OPERATOR")
    lane.link("WITHDRAWN", authority="OPERATOR")

    user = lane.state.users.get(KIM)
    assert user is not None
    assert user.decide(at(), {}) == NO_ACCOUNT


def test_what_a_server_says_displaces_a_browser_for_what_is_decided_from_then_on(lane: AttributionLane) -> None:
    lane.member("evil", authority="BROWSER")
    lane.event("e1", when=at(0, 1))
    lane.member("acme", at(0, 2), authority="SERVER")
    lane.event("e2", when=at(0, 1.5))

    assert lane.forwarded == [("e1", "evil"), ("e2", "acme")]


def test_an_operator_is_over_a_server(lane: AttributionLane) -> None:
    lane.member("acme", authority="SERVER")
    lane.member("globex", authority="OPERATOR", via="OPERATOR")
    lane.member("initech", at(0, 1), authority="SERVER")

    lane.event("e1", when=at(0, 2))

    assert lane.forwarded == [("e1", "globex")]
    assert lane.state.ledger.forwarded_operator == 1


def test_what_an_operator_has_said_can_be_withdrawn_and_what_calls_said_holds_again(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.member("globex", authority="OPERATOR", via="OPERATOR")
    lane.member("initech", at(0, 1))
    lane.event("e1", when=at(0, 2))

    lane.link("WITHDRAWN", authority="OPERATOR")
    lane.link("WITHDRAWN", authority="OPERATOR")
    lane.event("e2", when=at(0, 0.5))
    lane.event("e3", when=at(0, 2))

    assert lane.forwarded == [("e1", "globex"), ("e2", "acme"), ("e3", "initech")]
    assert lane.state.ledger.links_ignored == 1


def test_a_user_of_whom_only_an_operator_has_said_anything_waits_again_once_it_is_withdrawn(
    lane: AttributionLane,
) -> None:
    lane.member("globex", authority="OPERATOR", via="OPERATOR")
    lane.link("WITHDRAWN", authority="OPERATOR")
    lane.event("e1")
    assert lane.forwarded == []

    lane.member("acme", authority="BROWSER")

    assert lane.forwarded == [("e1", "acme")]


def test_an_identity_that_an_operator_gave_an_account_is_the_other_person_again_once_it_is_withdrawn(
    lane: AttributionLane,
) -> None:
    lane.same()
    lane.member("globex", user=ANON, authority="OPERATOR", via="OPERATOR")
    lane.event("e1", ANON)
    lane.link("WITHDRAWN", ANON, authority="OPERATOR")
    lane.event("e2", ANON)

    assert (lane.forwarded, lane.moved) == ([("e1", "globex")], [("e2", KIM)])


@pytest.mark.parametrize("authority", ["SERVER", "BROWSER"])
def test_nobody_else_withdraws_what_an_operator_has_said(lane: AttributionLane, authority: str) -> None:
    lane.member("globex", authority="OPERATOR", via="OPERATOR")
    lane.link("WITHDRAWN", authority=authority)
    lane.event("e1")

    assert lane.forwarded == [("e1", "globex")]


@pytest.mark.parametrize("authority", ["SERVER", "BROWSER"])
def test_an_e_mail_domain_is_below_a_call_that_names_the_account(lane: AttributionLane, authority: str) -> None:
    lane.member("by-domain", authority=authority, via="DOMAIN")
    lane.event("e1")
    lane.member("acme", authority=authority)
    lane.member("by-domain", at(0, 1), authority=authority, via="DOMAIN")
    lane.event("e2", when=at(0, 2))

    assert lane.forwarded == [("e1", "by-domain"), ("e2", "acme")]
    assert (lane.state.ledger.forwarded_domain, lane.state.ledger.forwarded_user) == (1, 1)


def test_the_domain_of_a_server_is_over_a_browsers_group_call(lane: AttributionLane) -> None:
    lane.member("acme", authority="SERVER", via="DOMAIN")
    lane.member("evil", authority="BROWSER")
    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]


# what is left out


def test_a_repeat_is_not_attributed_a_second_time_to_another_account(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.event("e1", when=at(0, 1))
    lane.member("globex", at(0, 0.5))
    lane.event("e1", when=at(0, 1))

    assert lane.forwarded == [("e1", "acme")]
    assert lane.state.ledger.duplicates == 1


def test_an_event_that_an_operator_sends_in_again_is_no_repeat(lane: AttributionLane) -> None:
    lane.event("e1")
    lane.event("e1", forwards=1)
    lane.member("acme", authority="OPERATOR")

    assert lane.forwarded == [("e1", "acme"), ("e1", "acme")]  # the account's lane counts it once


def test_a_copy_of_production_that_sends_the_same_ids_takes_nothing_from_production(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.event("e1", environment="staging")
    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]
    assert lane.state.ledger.non_production == 1


def test_other_environments_are_not_attributed_and_say_nothing_of_production(lane: AttributionLane) -> None:
    lane.member("test-account", environment="staging")
    lane.event("e1")
    lane.event("e2", environment="staging")

    assert lane.forwarded == []
    assert (lane.state.ledger.non_production, lane.state.ledger.links_ignored) == (1, 1)
    assert len(lane.state.waiting) == 1


# aliases


def test_members_of_an_alias_belong_to_its_account(lane: AttributionLane) -> None:
    lane.member("crm-17")
    lane.aliases(**{"crm-17": "acme"})
    lane.event("e1")

    assert lane.forwarded == [("e1", "acme")]


def test_several_accounts_that_turn_out_to_be_one_are_no_riddle_any_more(lane: AttributionLane) -> None:
    lane.link("NAMED", account="crm-17")
    lane.link("NAMED", account="acme")
    lane.event("e1")
    assert lane.forwarded == []

    lane.aliases(**{"crm-17": "acme"})

    assert lane.forwarded == [("e1", "acme")]


def test_what_waits_of_a_user_of_whom_nothing_is_known_waits_on_whatever_aliases_come(lane: AttributionLane) -> None:
    lane.event("e1")
    lane.aliases(**{"crm-17": "acme"})

    assert lane.forwarded == []
    assert len(lane.state.waiting) == 1


def test_a_new_table_of_aliases_takes_the_place_of_the_old(lane: AttributionLane) -> None:
    lane.member("crm-17")
    lane.aliases(**{"crm-17": "acme"})
    lane.aliases()
    lane.event("e1")

    assert lane.forwarded == [("e1", "crm-17")]


def test_a_user_whom_an_operator_has_forgotten_is_known_no_more_also_after_a_restart(lane: AttributionLane) -> None:
    lane.member("acme")
    lane.link("MEMBER", account="globex", authority="OPERATOR", via="OPERATOR")
    lane.same(ANON, KIM)

    for user in (KIM, ANON):
        lane.link("FORGOTTEN", user, authority="OPERATOR")
    again = lane.reopened()

    for each in (lane, again):
        assert len(each.state.users) == 0
        each.event("later")
        assert each.state.waiting.users() == [KIM]


@pytest.mark.parametrize("authority", ["BROWSER", "SERVER"])
def test_only_an_operator_has_a_user_forgotten(lane: AttributionLane, authority: str) -> None:
    lane.member("acme")

    lane.link("FORGOTTEN", authority=authority)

    assert len(lane.state.users) == 1
    assert lane.state.ledger.links_ignored == 1


def test_somebody_who_is_not_known_can_be_forgotten_to_no_effect(lane: AttributionLane) -> None:
    lane.link("FORGOTTEN", authority="OPERATOR")

    assert len(lane.state.users) == 0
    assert lane.state.ledger.links_ignored == 1
