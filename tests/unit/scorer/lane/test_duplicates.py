"""The duplicate window against a plain set, its bounds, and its way through the changelog."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from services.scorer.domain.lane import duplicates
from services.scorer.domain.lane.duplicates import SEAL, WINDOW_HOURS, DuplicateWindow
from services.shared.errors import IncompatibleState
from tests.support.examples import examples
from tests.support.scorer import UsageLane, at

HOUR = 480_000


def identities(window: DuplicateWindow) -> set[int]:
    return window._tail.union(*(run.tolist() for block in window.blocks for run in block.runs))


def test_an_identity_is_the_same_in_every_process() -> None:
    """What the fold puts into the window stands on the changelogs of deployments."""
    lane = UsageLane()
    lane.event("e1", "acme", source="app", when=at(0, 1))
    assert identities(lane.state.ids) == {7_933_645_345_642_774_535}


def test_source_account_and_event_id_are_kept_apart() -> None:
    lane = UsageLane()
    for source, account, event_id in (("a", "b", "c"), ("ab", "x", "c"), ("a", "bx", "c"), ("a", "b", "xc")):
        lane.event(event_id, account, source=source, when=at(0, 1))

    assert len(lane.state.ids) == lane.state.ledger.applied == 4


@settings(max_examples=examples(25), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 10**6), st.sampled_from([64, 1000, 10**6]))
def test_restoring_at_any_moment_changes_no_answer(seed: int, limit: int) -> None:
    rnd = random.Random(seed)
    steady, other, hour, sent = DuplicateWindow(limit), DuplicateWindow(limit), HOUR, [1]
    store: dict[bytes, bytes] = {}
    steady.roll(hour)
    other.roll(hour)
    for _ in range(1500):
        if rnd.random() < 0.01:
            hour += rnd.choice([1, 1, 2, 9, 30])
            steady.roll(hour)
            other.roll(hour)
        given_ = rnd.choice(sent[-600:]) if rnd.random() < 0.3 else rnd.getrandbits(64)
        sent.append(given_)
        assert steady.seen(given_) == other.seen(given_)
        if rnd.random() < 0.03:
            for key, value in other.take_changes():
                assert not key.startswith(b"\0")
                if value is None:
                    store.pop(key)
                else:
                    store[key] = value
            if rnd.random() < 0.5:
                restored = DuplicateWindow(limit)
                for key, value in store.items():
                    restored.load(key, value)
                for _ in restored.loading(other.hour, other.oldest, other.shortened):
                    pass
                other = restored
    assert identities(steady) == identities(other)
    assert (steady.shortened, steady.oldest) == (other.shortened, other.oldest)


def test_an_event_is_remembered_24_hours_and_then_forgotten() -> None:
    window = DuplicateWindow(100_000)
    window.roll(HOUR)
    window.seen(7)
    window.roll(HOUR + WINDOW_HOURS)
    assert window.seen(7)

    window.roll(HOUR + WINDOW_HOURS + 1)
    assert not window.seen(7)


def test_hours_that_leave_are_deleted_from_the_changelog_a_bounded_number_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "DELETIONS_AT_ONCE", 3)
    window = DuplicateWindow(100_000)
    store: dict[bytes, bytes | None] = {}
    window.roll(HOUR)
    for number in range(10):
        window.seen(number)
        store |= dict(window.take_changes())
    window.roll(HOUR + 30)
    deleted: list[int] = []
    for _ in range(5):
        gone = [key for key, value in window.take_changes() if value is None]
        deleted.append(len(gone))
        for key in gone:
            del store[key]

    assert deleted == [3, 3, 3, 1, 0]
    assert not store


def test_deletions_that_a_crash_cut_short_are_made_up_for() -> None:
    window = DuplicateWindow(100_000)
    store: dict[bytes, bytes | None] = {}
    window.roll(HOUR)
    for number in range(4):
        window.seen(number)
        store |= dict(window.take_changes())
    window.roll(HOUR + 30)
    window.seen(99)
    restored = DuplicateWindow(100_000)
    for key, value in store.items():
        restored.load(key, value or b"")
    for _ in restored.loading(window.hour, window.oldest, 0):
        pass

    assert {key for key, value in restored.take_changes() if value is None} == set(store)
    assert len(restored) == 0


@pytest.mark.parametrize("written_before", [True, False])
def test_an_hour_that_comes_again_in_a_log_whose_time_starts_anew_is_not_deleted_with_its_former_self(
    written_before: bool,
) -> None:
    window = DuplicateWindow(100_000)
    store: dict[bytes, bytes | None] = {}
    window.roll(HOUR)
    for number in range(3):
        window.seen(number)
        store |= dict(window.take_changes()) if written_before else {}
    window.clear()
    window.roll(HOUR)
    window.seen(7)
    for key, value in window.take_changes():
        store[key] = value
    restored = DuplicateWindow(100_000)
    for key, value in store.items():
        if value is not None:
            restored.load(key, value)
    for _ in restored.loading(window.hour, window.oldest, 0):
        pass

    assert identities(restored) == identities(window) == {7}


def test_a_crash_soon_after_time_starts_anew_brings_nothing_back_of_what_was_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "DELETIONS_AT_ONCE", 3)
    window = DuplicateWindow(100_000)
    store: dict[bytes, bytes | None] = {}
    window.roll(HOUR)
    for number in range(6):
        window.seen(number)
        store |= dict(window.take_changes())
    window.clear()
    window.roll(HOUR)
    window.seen(12_345)
    store |= dict(window.take_changes())
    restored = DuplicateWindow(100_000)
    for key, value in store.items():
        if value is not None:
            restored.load(key, value)
    for _ in restored.loading(window.hour, window.oldest, 0):
        pass

    assert identities(restored) == identities(window) == {12_345}


def test_more_ids_than_the_limit_shorten_the_window_and_are_reported() -> None:
    window = DuplicateWindow(8_000)
    window.roll(HOUR)
    for number in range(20_000):
        assert not window.seen(number)

    assert len(window) <= 8_000
    assert window.shortened > 0
    assert window.seen(19_999)
    assert not window.seen(1)


def test_a_filter_that_says_perhaps_drops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "FALSE_POSITIVES", 0.9)
    window = DuplicateWindow(10**6)
    window.roll(HOUR)
    rnd = random.Random(1)
    ids = [rnd.getrandbits(64) for _ in range(3 * SEAL)]

    assert not any(window.seen(i) for i in ids)
    assert all(window.seen(i) for i in ids)


def test_a_million_ids_take_at_most_twelve_bytes_each() -> None:
    window = DuplicateWindow(10**7)
    rnd = random.Random(2)
    for hour in range(10):
        window.roll(HOUR + hour)
        for _ in range(100_000):
            window.seen(rnd.getrandbits(64))
    window.roll(HOUR + 10)

    assert window.memory_bytes() / len(window) <= 12


def test_a_full_window_is_loaded_in_steps_of_a_bounded_number_of_identities() -> None:
    rnd = random.Random(7)
    window = DuplicateWindow(400_000)
    store: dict[bytes, bytes | None] = {}
    for hour in range(8):
        window.roll(HOUR + hour)
        for _ in range(45_000):
            window.seen(rnd.getrandbits(64))
        store |= dict(window.take_changes())
    restored = DuplicateWindow(400_000)
    for key, value in store.items():
        restored.load(key, value or b"")

    steps = restored.loading(window.hour, window.oldest, window.shortened)
    sizes = [0, *(len(restored) for _ in steps)]

    assert identities(restored) == identities(window)
    assert max(after - before for before, after in itertools.pairwise(sizes)) <= 2 * SEAL
    assert restored.memory_bytes() <= 12 * len(restored)


def test_records_of_another_kind_are_refused() -> None:
    window = DuplicateWindow(1000)

    with pytest.raises(IncompatibleState, match="later"):
        window.load(b"j of a later format", b"")
