"""
The state records of an account: the bytes in which it lies on its lane's changelog (state_format.py).

What the tracking plan declares is written by name. Under another plan a record gives what is still declared, of the same
type or scale; the rest is gone with the record's next writing, and what is new starts empty.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from services.scorer.domain.accounts.account import NEVER, Account
from services.scorer.domain.accounts.active_users import ActiveUsers
from services.scorer.domain.accounts.daily_counts import NARROW, SPAN, WIDE, DailyCounts
from services.scorer.domain.accounts.facts import UNSAID, Facts
from services.scorer.domain.accounts.kinds import Kinds, Names
from services.scorer.domain.accounts.roles import UNKNOWN, Roles, role_code
from services.scorer.domain.lane.state_format import DEFAULT, HEADS, unpacked
from services.shared.tracking_plan.state_names import PLANNED_ABSENCES

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
            (kinds.counts.declared, account.counts_today) if account.counts_today else None,
            _bits(today),
            array("Q", people.new).tobytes() if people.new else b"",
            (kinds.features.declared, [*map(_bits, people.features.today)]) if people.features else None,
            (kinds.milestones.declared, account.milestones),
            account.last_active_day,
            account.touched_day,
            account.touch_closed_day,
            account.stale | account.queued << 2 | account.historical << 3 | account.behind << 5,
            account.trigger,
            account.evaluated_at,
            (kinds.cases.declared, [*map(_sorted_rows, account.cases)]) if account.cases else None,
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
    account.counts_today = _placed(kinds.counts, parts[1], 0) if parts[1] else None
    people.today = int.from_bytes(parts[2], "little")
    new = array("Q", parts[3])
    people.new = dict(zip(new, range(len(people.known), len(people.known) + len(new)), strict=True)) if new else None
    if parts[4] and kinds.features:
        used = _placed(kinds.features, parts[4], b"")
        people.features_of(len(kinds.features)).today = [int.from_bytes(mask, "little") for mask in used]
    account.milestones = tuple(map(_shared, _placed(kinds.milestones, parts[5], NEVER)))
    account.last_active_day, account.touched_day, account.touch_closed_day = map(_shared, parts[6:9])
    flags = parts[9]
    account.stale = flags & 3
    account.queued, account.historical, account.behind = bool(flags & 4), bool(flags & 8), bool(flags & 32)
    account.trigger, account.evaluated_at = parts[10:12]
    account.cases = tuple(map(_of_rows, _placed(kinds.cases, parts[12], None))) if parts[12] else None
    account.last_evaluation = parts[13]


def encode_cold(account: Account, written: int) -> bytes:
    """Return the cold record of an account in the format to be written."""
    people, counts, kinds = account.active_users, account.daily_counts, account.kinds
    names = list(kinds.counts)
    return HEADS[written] + _pack(
        (
            counts.through,
            (kinds.counts.declared, [*map(_pack_ring, counts.counts)]),
            [(names[place], day, count) for (place, day), count in sorted(counts.large.items())]
            if counts.large
            else None,
            people.through,
            people.known.tobytes(),
            bytes(people.bits),
            (kinds.features.declared, [*map(_pack_ring, people.features.days)]) if people.features else None,
            _facts(account.facts, kinds) if account.facts else None,
            _answers(account, kinds) if account.survey_answers else None,
            *([[(*key, *said) for key, said in sorted(account.absences.items())]] if account.absences else []),
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
    counts.counts[:] = map(_unpack_ring, _placed(kinds.counts, parts[1], None))
    counts.large = {(kinds.counts[n], day): count for n, day, count in parts[2] or () if n in kinds.counts} or None
    people = ActiveUsers(_shared(parts[3]))
    people.known = array("Q", parts[4])
    people.bits = bytearray(parts[5])
    if parts[6] and kinds.features:
        used = _placed(kinds.features, parts[6], None)
        people.features_of(len(kinds.features)).days = [array("H", days) if days else None for days in used]
    account.daily_counts, account.active_users = counts, people
    account.facts = _facts_of(parts[7], kinds) if parts[7] else None
    account.survey_answers = None
    rows = parts[9] if len(parts) > 9 and PLANNED_ABSENCES in kinds.state else None
    account.absences = {(person, first): (last, at) for person, first, last, at in rows} if rows else None
    for name, (scale, rows) in (parts[8] or {}).items():
        place = kinds.answers.get(name)
        if place is not None and kinds.scales[place] == tuple(scale):
            account.answers_of(place).update(_of_rows(rows) or {})


def encode_roles(roles: Roles, kinds: Kinds, written: int) -> bytes:
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
        roles.renumber({UNKNOWN: UNKNOWN, **{role_code(name, before): role_code(name, kinds.roles) for name in names}})
    return roles


def _placed(names: Names, found: Sequence[Any], nothing: Any) -> list[Any]:
    """Return the values of a kind by place, out of the names that were declared when they were written, and values."""
    declared, values = found
    if declared == names.declared:
        return values  # type: ignore[no-any-return]
    by_name = dict(zip((*names.of_all, *declared.split()), values, strict=True))
    return [by_name.get(name, nothing) for name in names]


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


def _facts(facts: Facts, kinds: Kinds) -> tuple[Any, ...]:
    """Return names and types, what each fact is, when it was said last, since how long before; and what it was."""
    names = len(facts.values)
    said, since = facts.times[:names].tolist(), facts.times[names:]
    ages = [at - first for at, first in zip(said, since, strict=True)]
    former = facts.former or {}
    was = {name: former[place] for name, place in kinds.facts.items() if place in former} if former else None
    return kinds.facts.declared, kinds.types, facts.values, said, ages, was


def _facts_of(found: Sequence[Any], kinds: Kinds) -> Facts:
    declared, types, values, said, ages, former = found
    facts = Facts(len(kinds.facts))
    if (declared, types) != (kinds.facts.declared, kinds.types):
        keys = list(zip(declared.split(), types, strict=True))
        wanted = list(zip(kinds.facts, kinds.types, strict=True))
        values, said, ages = (
            [dict(zip(keys, column, strict=True)).get(key, nothing) for key in wanted]
            for column, nothing in ((values, None), (said, UNSAID), (ages, 0))
        )
        kept = {name for name, _ in set(keys) & set(wanted)}
        former = {name: history for name, history in (former or {}).items() if name in kept}
    facts.values[:] = values
    facts.times = array("q", [*said, *(at - age for at, age in zip(said, ages, strict=True))])
    if former:
        facts.former = {kinds.facts[name]: [(at, was) for at, was in history] for name, history in former.items()}
    return facts


def _answers(account: Account, kinds: Kinds) -> dict[str, Any] | None:
    """Return by survey its scale and each person's latest answer; None: there are no answers."""
    found = {
        name: (kinds.scales[place], _sorted_rows(answers))
        for (name, place), answers in zip(kinds.answers.items(), account.survey_answers or (), strict=True)
        if answers
    }
    return found or None


def _pack_ring(ring: array[int] | None) -> bytes | None:
    """Return a ring as it is, in one byte a day or two: once wide it stays wide, also after a restore."""
    return ring.tobytes() if ring else None


def _unpack_ring(packed: bytes | None) -> array[int] | None:
    if packed is None:
        return None
    return array(NARROW if len(packed) == SPAN else WIDE, packed)
