"""The same log gives the same forwards, dead letters and state: in any chunks, after any crash."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from schemas.topics import DEAD_LETTERS, SCORER_USAGE_UNATTRIBUTED_STATE, USAGE_EVENTS, USAGE_UNATTRIBUTED
from services.scorer.domain.attribution.waiting import WaitingBounds
from services.shared.engine.memory.runner import Cuts
from services.shared.engine.position import POSITION_KEY
from services.shared.units import DAY_MS, HOUR_MS
from tests.support.attribution import ANON, Log, read
from tests.support.examples import examples
from tests.support.scorer import at, clock

SMALL = WaitingBounds(of_user=6, identified=12, identified_bytes=4000, anonymous=5, anonymous_bytes=2000)


def history(seed: int, hours: int = 60) -> Log:
    """Write a log with everything in it: sessions, moves, logins, browsers that lie, retries, expiry, full pools, aliases."""
    dice = random.Random(seed)
    log = Log(2, SMALL, most_users=8)
    log.tick(at())
    users = [f"u_{n}" for n in range(9)] + [f"{ANON}-{n}" for n in range(6)]
    sent: list[tuple[str, str, int, dict[str, Any]]] = []
    for hour in range(hours):
        now = at(0, 6 * hour)
        for n in range(dice.randrange(5)):
            user, when = dice.choice(users), now + dice.randrange(HOUR_MS)
            changes: dict[str, Any] = {"internal": dice.random() < 0.1, "forwards": dice.choice([0, 0, 0, 4])}
            changes["authority"] = dice.choice(["BROWSER", "SERVER"])
            if dice.random() < 0.1:
                changes["environment"] = "staging"
            each = (f"e{hour}-{n}", user, when - dice.randrange(3) * DAY_MS, {**changes, "received_at": when})
            sent.append(each)
            for event_id, who, occurred, rest in (each, *([dice.choice(sent)] if dice.random() < 0.3 else [])):
                log.event(event_id, who, occurred, **rest)
        if dice.random() < 0.4:
            authority = dice.choice(["BROWSER", "BROWSER", "SERVER", "OPERATOR"])
            kind = dice.choice([*2 * ["MEMBER", "MEMBER", "NAMED", "SAME"], "WITHDRAWN"])
            rest = {"authority": authority, "via": dice.choice(["EVENT", "DOMAIN"]), "received_at": now}
            rest |= {"forwards": dice.choice([0, 0, 0, 4]), "internal": dice.random() < 0.2}
            if kind == "SAME":
                rest["known_as"] = dice.choice(users)
            account = "" if kind in ("SAME", "WITHDRAWN") else dice.choice(["acme", "globex", "crm-17"])
            log.link(kind, dice.choice(users), account, now - dice.randrange(2) * DAY_MS, **rest)
        if dice.random() < 0.7:
            log.tick(now, settled=now - dice.choice([0, 0, 3]) * DAY_MS)
        if dice.random() < 0.05:
            table = {"crm-17": dice.choice(["acme", "globex"])} if dice.random() < 0.8 else {}
            log.control("account_aliases", {"at": now, "by": "", "aliases": table})
        if dice.random() < 0.03:
            log.event(f"far-{hour}", dice.choice(users), now + 90 * DAY_MS)
            log.control("clock", clock(dice.choice(["ACCEPT", "REFUSE", "LIVE"]), now))
    return log


def test_a_history_shows_every_kind_of_outcome() -> None:
    total: dict[str, int] = {}
    for seed in range(6):
        log = history(seed, hours=120).copy()
        runner = log.runner()
        runner.run()
        for partition in range(2):
            counted = runner.processor(USAGE_UNATTRIBUTED, partition).state.counted()  # type: ignore[attr-defined]
            for name in counted.__struct_fields__:
                total[name] = total.get(name, 0) + getattr(counted, name)
    lacking = [name for name, count in total.items() if not count and not name.startswith("waiting")]

    assert lacking == []


# Lanes exchange records, and which lane has its turn first depends on the cuts. So what is compared under any cuts is
# a log on which no lane waits for another's records: every lane alone, by what it writes.


def alone(log: Log, cuts: Cuts | None = None) -> tuple[list[Any], dict[bytes, bytes], int]:
    """Run the lanes of attribution over what ingest wrote, with what they send to each other left out of their reading."""
    copy = log.copy()
    runner = copy.runner(cuts)
    attribution = runner.specs[0]
    runner.specs = [attribution]
    before = {p: len(copy.memory.read(USAGE_UNATTRIBUTED, p)) for p in range(2)}
    original = copy.memory.append
    sent: list[Any] = []

    def append(topic: str, key: bytes | None, value: bytes | None, *rest: Any) -> Any:
        if topic in (USAGE_UNATTRIBUTED, USAGE_EVENTS):
            sent.append((topic, key, value))
            return original("elsewhere", key, value, *rest)
        return original(topic, key, value, *rest)

    copy.memory.append = append  # type: ignore[method-assign, assignment]
    runner.run()
    assert before == {p: len(copy.memory.read(USAGE_UNATTRIBUTED, p)) for p in range(2)}
    live: dict[bytes, bytes] = {}
    for partition in range(2):
        found = copy.memory.latest(SCORER_USAGE_UNATTRIBUTED_STATE, partition)
        found.pop(POSITION_KEY)
        live |= {b"%d" % partition + key: value for key, value in found.items()}
    letters = [(r.partition, r.value) for r in copy.memory.records(DEAD_LETTERS)]
    return [sorted(set(sent)), sorted(letters)], live, runner.points


@settings(max_examples=examples(15), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10_000), st.lists(st.integers(1, 60), min_size=1, max_size=3), st.integers(1, 9))
def test_any_chunking_gives_the_same_bytes(seed: int, chunk: list[int], transaction: int) -> None:
    log = history(seed)

    assert alone(log, Cuts(chunk=chunk, transaction=transaction))[:2] == alone(log)[:2]


@settings(max_examples=examples(15), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10_000), st.data())
def test_crashes_at_any_points_give_the_same_bytes(seed: int, data: st.DataObject) -> None:
    log = history(seed)
    expected, state, points = alone(log, Cuts(chunk=(7,), transaction=3))
    crashes = data.draw(st.sets(st.integers(1, points), max_size=12))

    assert alone(log, Cuts(chunk=(7,), transaction=3, crashes=crashes))[:2] == (expected, state)


def test_a_crash_at_each_point_loses_nothing_and_doubles_nothing_in_any_lane() -> None:
    log = history(3, hours=16)
    cuts = Cuts(chunk=(3,), transaction=2)
    undisturbed = log.copy()
    runner = undisturbed.runner(cuts)
    runner.run()
    expected = _counted(undisturbed)

    for point in range(1, runner.points + 1):
        copy = log.copy()
        copy.runner(Cuts(chunk=(3,), transaction=2, crashes=(point,))).run()
        assert _counted(copy) == expected, f"crash at point {point}"


def _counted(log: Log) -> Any:
    """Return what accounts have counted, and which events were given up."""
    runner = log.runner()
    applied: dict[str, int] = {}
    for partition in range(2):
        state = runner.processor(USAGE_EVENTS, partition).state  # type: ignore[attr-defined]
        for name, account in state.accounts.items():
            history_ = account.history("events", state.clock.closed_day)
            applied[name] = account.today("events") + (0 if history_ is None else int(history_.sum()))
    letters = sorted((read(v)["reason"], read(v)["event_id"]) for v in log.memory.values(DEAD_LETTERS))
    return applied, letters
