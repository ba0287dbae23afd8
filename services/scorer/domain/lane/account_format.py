"""
The state records of an account: the bytes in which it lies on its lane's changelog (state_format.py).

What the tracking plan declares is written by name. Under another plan a record gives what is still declared, of the same
type or scale; the rest is gone with the record's next writing, and what is new starts empty.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from services.scorer.domain.accounts.account import NEVER, Account
from services.scorer.domain.accounts.active_users import ActiveUsers
from services.scorer.domain.accounts.daily_counts import NARROW, SPAN, WIDE, DailyCounts
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import FIRST_ACTIVITY, Kinds
from services.scorer.domain.accounts.roles import UNKNOWN, Roles, code_of
from services.scorer.domain.lane.state_format import DEFAULT, HEADS, unpacked

HOT, COLD, ROLES = b"h:", b"c:", b"r:"
"""Prefixes of the state records; the account's name follows."""

_pack = msgspec.msgpack.Encoder().encode


def encode_hot(account: Account, written: int = DEFAULT) -> bytes:
    """Return the hot record of an account in the format to be written."""
    people, kinds = account.active_users, account.kinds
    today = people.today
    return HEADS[written] + _pack(
        (
            account.events_today,
            _named(kinds.counts, account.counts_today) if account.counts_today else None,
            _bits(today),
            array("Q", people.new).tobytes() if people.new else b"",
            _named(kinds.features, map(_bits, people.features.today)) if people.features else None,
            account.milestones[0],
            _milestones(account),
            account.last_active_day,
            account.touched_day,
            account.touch_closed_day,
            account.stale | account.queued << 2 | account.historical << 3 | account.dormant << 4 | account.behind << 5,
            account.trigger,
            account.evaluated_at,
            _named(kinds.cases, map(_sorted_rows, account.cases)) if account.cases else None,
            account.last_evaluation,
        )
    )


def decode_hot(account: Account, value: bytes) -> None:
    """
    Take the hot record of an account back.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    parts = unpacked(value)
    people, kinds = account.active_users, account.kinds
    account.events_today = parts[0]
    account.counts_today = _placed(kinds.counts, parts[1], 0)
    people.today = int.from_bytes(parts[2], "little")
    new = array("Q", parts[3])
    people.new = dict(zip(new, range(len(people.known), len(people.known) + len(new)), strict=True)) if new else None
    used = _placed(kinds.features, parts[4], b"")
    if used:
        people.features_of(len(kinds.features)).today = [int.from_bytes(mask, "little") for mask in used]
    account.milestones = (_shared(parts[5]), *(_placed(kinds.milestones, parts[6], NEVER) or account.milestones)[1:])
    account.last_active_day, account.touched_day, account.touch_closed_day = map(_shared, parts[7:10])
    flags = parts[10]
    account.stale = flags & 3
    account.queued, account.historical, account.dormant = bool(flags & 4), bool(flags & 8), bool(flags & 16)
    account.behind = bool(flags & 32)
    account.trigger, account.evaluated_at = parts[11:13]
    cases = _placed(kinds.cases, parts[13], None)
    account.cases = tuple(map(_of_rows, cases)) if cases else None
    account.last_evaluation = parts[14]


def encode_cold(account: Account, written: int = DEFAULT) -> bytes:
    """Return the cold record of an account in the format to be written."""
    people, counts, kinds = account.active_users, account.daily_counts, account.kinds
    names = list(kinds.counts)
    return HEADS[written] + _pack(
        (
            counts.through,
            _named(kinds.counts, map(_pack_ring, counts.counts)),
            [(names[place], day, count) for (place, day), count in sorted(counts.large.items())]
            if counts.large
            else None,
            people.through,
            people.known.tobytes(),
            bytes(people.bits),
            _named(kinds.features, map(_pack_ring, people.features.days)) if people.features else None,
            _facts(account.facts, kinds) if account.facts else None,
            _answers(account, kinds) if account.survey_answers else None,
        )
    )


def decode_cold(account: Account, value: bytes) -> None:
    """
    Take the cold record of an account back; before its hot one.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    parts = unpacked(value)
    kinds = account.kinds
    counts = DailyCounts(_shared(parts[0]), len(kinds.counts))
    rings = _placed(kinds.counts, parts[1], None)
    if rings:
        counts.counts[:] = map(_unpack_ring, rings)
    counts.large = {(kinds.counts[n], day): count for n, day, count in parts[2] or () if n in kinds.counts} or None
    people = ActiveUsers(_shared(parts[3]))
    people.known = array("Q", parts[4])
    people.bits = bytearray(parts[5])
    used = _placed(kinds.features, parts[6], None)
    if used:
        people.features_of(len(kinds.features)).days = [array("H", days) if days else None for days in used]
    account.daily_counts, account.active_users = counts, people
    account.facts = _facts_of(parts[7], kinds) if parts[7] else None
    account.survey_answers = None
    for name, (scale, rows) in (parts[8] or {}).items():
        place = kinds.answers.get(name)
        if place is not None and kinds.scales[place] == tuple(scale):
            account.answers_of(place).update(_of_rows(rows) or {})


def encode_roles(roles: Roles, kinds: Kinds, written: int = DEFAULT) -> bytes:
    """Return the roles of an account's people in the format to be written, with the names that their codes stand for."""
    return HEADS[written] + _pack((list(kinds.roles), roles.known.tobytes(), roles.said.tobytes()))


def decode_roles(value: bytes, kinds: Kinds) -> Roles:
    """
    Return the roles of an account's people; those that are not declared any more are other roles.

    Raises:
        IncompatibleState: it was written in a newer format.
    """
    names, known, said = unpacked(value)
    roles = Roles()
    roles.known, roles.said = array("Q", known), array("Q", said)
    if names != list(kinds.roles):
        before = {name: place for place, name in enumerate(names)}
        roles.renumber({UNKNOWN: UNKNOWN, **{code_of(name, before): code_of(name, kinds.roles) for name in names}})
    return roles


def _named(places: Mapping[str, int], values: Iterable[Any]) -> dict[str, Any] | None:
    """Return the values of a kind by name, without those that are nothing; None: there are none."""
    return {name: value for name, value in zip(places, values, strict=True) if value} or None


def _milestones(account: Account) -> dict[str, int] | None:
    """Return the days on which the plan's milestones were reached."""
    days = zip(account.kinds.milestones, account.milestones, strict=True)
    return {name: day for name, day in days if day != NEVER and name != FIRST_ACTIVITY} or None


def _placed(places: Mapping[str, int], found: Mapping[str, Any] | None, nothing: Any) -> list[Any] | None:
    """Return the values of a kind by place; None: there are none of a declared name."""
    if not found or found.keys().isdisjoint(places):
        return None
    return [found.get(name, nothing) for name in places]


@lru_cache(maxsize=4096)
def _shared(day: int) -> int:
    """Return one object for each day: 200 bytes an account less than one for each time that a day is mentioned."""
    return day


def _bits(mask: int) -> bytes:
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def _sorted_rows(pairs: Mapping[str, tuple[int, int]] | None) -> list[tuple[str, int, int]]:
    return sorted((key, *pair) for key, pair in pairs.items()) if pairs else []


def _of_rows(rows: Sequence[Any] | None) -> dict[str, tuple[int, int]] | None:
    return {key: (first, second) for key, first, second in rows} if rows else None


def _facts(facts: Facts, kinds: Kinds) -> dict[str, Any]:
    """Return by name the type of each fact that was ever said, when last, and what it was since how long before that."""
    return {
        name: (kinds.types[place][0], said, [(said - since, value) for since, value in facts.history(place)])
        for name, place in kinds.facts.items()
        if (said := facts.said(place)) >= 0
    }


def _facts_of(found: Mapping[str, Any], kinds: Kinds) -> Facts | None:
    facts = None
    for name, (type_, said, history) in found.items():
        place = kinds.facts.get(name)
        if place is not None and kinds.types[place][0] == type_:
            facts = facts or Facts(len(kinds.facts))
            facts.restore(place, said, [(said - age, value) for age, value in history])
    return facts


def _answers(account: Account, kinds: Kinds) -> dict[str, Any]:
    """Return by survey its scale and each person's latest answer."""
    return {
        name: (kinds.scales[place], _sorted_rows(answers))
        for (name, place), answers in zip(kinds.answers.items(), account.survey_answers or (), strict=True)
        if answers
    }


def _pack_ring(ring: array[int] | None) -> bytes | None:
    """Return a ring as it is, in one byte a day or two: once wide it stays wide, also after a restore."""
    return None if ring is None else ring.tobytes()


def _unpack_ring(packed: bytes | None) -> array[int] | None:
    if packed is None:
        return None
    return array(NARROW if len(packed) == SPAN else WIDE, packed)
