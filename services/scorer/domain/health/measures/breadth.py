"""How many people use how much of it, against the usual number and the seats, and what part agents and integrations have."""

from __future__ import annotations

from services.scorer.domain.health.known import Known
from services.scorer.domain.health.measures.registry import measure


@measure
def active_users_7(known: Known) -> float | None:
    return known.usage.active_users_7


@measure
def active_users_28(known: Known) -> float | None:
    return known.usage.active_users_28


@measure
def active_users_84(known: Known) -> float | None:
    return known.usage.active_users_84


@measure
def active_users_28_usual(known: Known) -> float | None:
    return known.usage.active_users_28_usual


@measure
def days_per_person(known: Known) -> float | None:
    return known.usage.days_per_person if known.usage.active_users_28_usual else None


@measure
def active_users_28_expected(known: Known) -> float | None:
    return known.usage.active_users_28_expected or None


@measure
def active_users_level(known: Known) -> float | None:
    expected = known.usage.active_users_28_expected
    return known.usage.active_users_28 / expected if expected > 0 else None


@measure
def active_users_lost(known: Known) -> float | None:
    expected = known.usage.active_users_28_expected
    return expected - known.usage.active_users_28 if expected > 0 else None


@measure
def regulars(known: Known) -> float | None:
    return known.usage.regulars.people if known.usage.regulars else None


@measure
def regulars_gone(known: Known) -> float | None:
    return known.usage.regulars.gone if known.usage.regulars else None


@measure
def regulars_gone_share(known: Known) -> float | None:
    return known.usage.regulars.gone / known.usage.regulars.people if known.usage.regulars else None


@measure
def seats(known: Known) -> float | None:
    return known.facts["seats"] or None


@measure
def seat_use(known: Known) -> float | None:
    return known.usage.active_users_28 / known.facts["seats"] if known.facts["seats"] else None


@measure
def people_share_4w(known: Known) -> float | None:
    return known.usage.acting.people_share if known.usage.acting else None


@measure
def people_share_usual(known: Known) -> float | None:
    return known.usage.acting.people_share_usual if known.usage.acting else None


@measure
def people_level_4w(known: Known) -> float | None:
    usage = known.usage
    return usage.acting.people_level(usage.windows[-1].expected) if usage.acting else None


@measure
def taken_over_4w(known: Known) -> float | None:
    usage = known.usage
    return usage.acting.taken_over(usage.windows[-1].expected) if usage.acting else None


@measure
def agents_28(known: Known) -> float | None:
    return known.usage.acting.agents if known.usage.acting else None


@measure
def integrations_28(known: Known) -> float | None:
    return known.usage.acting.integrations if known.usage.acting else None


@measure
def features_used_28(known: Known) -> float | None:
    return known.adoption.used if known.adoption else None


@measure
def features_dropped(known: Known) -> float | None:
    return len(known.adoption.dropped) if known.adoption and known.adoption.dropped is not None else None


@measure
def core_features_unused(known: Known) -> float | None:
    return len(known.adoption.core_unused) if known.adoption and known.adoption.core_unused is not None else None


@measure
def deep_people_28(known: Known) -> float | None:
    return known.adoption.deep_people if known.adoption else None


@measure
def roles_gone(known: Known) -> float | None:
    return len(known.roles_gone) if known.roles_gone is not None else None
