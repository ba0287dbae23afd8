"""Accounts with a past of 256 days, as a scorer would have them: to score against, to restore and to weigh."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from services.scorer.domain.accounts.account import Account
from services.scorer.domain.accounts.actors import person_of
from services.scorer.domain.accounts.daily_counts import SPAN
from services.scorer.domain.accounts.facts import Facts
from services.scorer.domain.accounts.kinds import Kinds
from services.scorer.domain.health import last_evaluation
from services.scorer.domain.health.snapshot import evaluate
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.settings import ScorerSettings, load_scoring
from services.shared.kafka.partition import partition_for
from services.shared.tracking_plan.state_names import WELL_KNOWN
from services.shared.units import DAY_MS, HOUR_MS

DIMENSIONS = ("usage", "breadth", "value", "support", "sentiment", "renewal")
DUPLICATE_IDS = ScorerSettings().duplicate_ids


def user(number: int) -> str:
    """Return the id of one of an account's users."""
    return f"user-{number:05d}@example.com"


def names(count: int, partitions: int) -> list[list[str]]:
    """Return so many account names, by partition."""
    homes: list[list[str]] = [[] for _ in range(partitions)]
    for number in range(count):
        name = f"account-{number:06d}"
        homes[partition_for(name.encode(), partitions)].append(name)
    return homes


def make_account(name: str, day: int, people: array[int], random: np.random.Generator, kinds: Kinds) -> Account:
    """Return an account during `day`, active today: every person on a quarter of its days, all five daily counts in use."""
    account = Account(name, day, kinds)
    bits = random.bytes(len(people) * SPAN // 8)
    bits = (int.from_bytes(bits, "little") & int.from_bytes(random.bytes(len(bits)), "little")).to_bytes(
        len(bits), "little"
    )
    grid = np.unpackbits(np.frombuffer(bits, np.uint8).reshape(-1, SPAN // 8), axis=1, bitorder="little")
    active = grid.sum(axis=0)
    counts = {
        "active": active, "events": active * 5, "value": active // 4, "tickets_opened": active % 3, "tickets_closed": active % 2
    }  # fmt: skip
    for count, days in counts.items():
        account.daily_counts.counts[kinds.counts[count]] = array("B", days.astype(np.uint8).tobytes())
    account.active_users.known = array("Q", people)
    account.active_users.bits = bytearray(bits)
    account.facts = Facts(len(kinds.facts))
    values = (name, "Ann Example", 12_000.0, 60, "pro", day - 400, day + 200, None)
    for fact, value in zip(WELL_KNOWN, values, strict=True):
        account.facts.set(kinds.facts[fact], value, (day - 100) * DAY_MS)
    account.cases_of(0).update({f"ticket-{name[-3:]}-{n}": ((day - n) * DAY_MS, 0) for n in (1, 2)})
    account.answers_of(0).update({user(n): ((day - 10 - n) * DAY_MS, 6 + n) for n in range(3)})
    account.reach(kinds.milestones["first_activity"], day - 250)
    account.reach(kinds.milestones["first_value"], day - 240)
    account.last_active_day = account.touched_day = day
    account.events_today, account.active_users.today = 1, 1
    return account


def make_lane(partition: int, partitions: int, accounts: Sequence[str], users: int, now: int) -> UsageFold:
    """Return a lane that stands at `now` with accounts of a past; everything in it is still to be written."""
    plan, model = load_scoring(ScorerSettings())
    fold = UsageFold(partition, partitions, plan, model, DUPLICATE_IDS)
    for _ in fold.controls.tick({"at": now, "epoch": 0}, now, 0, 0) or ():
        pass
    state = fold.state
    for dimension in DIMENSIONS:
        state.connect(dimension)
    random = np.random.default_rng(partition)
    people = array("Q", sorted(person_of(user(n)) for n in range(users)))
    kept: bytes | None = None
    for name in accounts:
        state.order.add(name)
        account = state.accounts[name] = make_account(name, now // DAY_MS, people, random, state.kinds)
        if kept is None:
            kept = last_evaluation.write(evaluate(account, fold.days._context()).last_evaluation)
        account.last_evaluation = bytes(kept)
        account.evaluated_at = now - HOUR_MS
    state.hot.update(accounts)
    state.cold.update(accounts)
    state.outcomes.clear()
    return fold


def state_records(fold: UsageFold) -> Iterator[tuple[bytes, bytes]]:
    """Yield the changelog records of a lane's state."""
    for key, value in fold.state.take_changes():
        assert value is not None
        yield key, value
