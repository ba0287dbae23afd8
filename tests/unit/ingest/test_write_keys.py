"""The write keys file: read whole, with every fault named, and again when it changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from services.ingest.errors import RateLimited
from services.ingest.metrics import IngestMetrics
from services.ingest.write_keys.budgets import Bucket, Budgets
from services.ingest.write_keys.keys import WriteKey, WriteKeys, read
from services.shared.credentials import digest, id_of
from services.shared.errors import ConfigurationError, Rejected
from tests.support.keys import entry


def write(path: Path, text: str, at: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at, at))


def test_a_file_is_read(tmp_path: Path) -> None:
    more = "  client: browser\n  origins: [https://app.example.com]\n  events_per_s: 5\n  not_after: 2026-03-31\n"
    text = entry("a", "web") + f"- key_sha256: {digest('b')}\n  source: w\n  environment: dev\n{more}"
    write(tmp_path / "keys", text, 1)

    assert read(tmp_path / "keys") == {
        digest("a"): WriteKey(digest("a"), "web", client="server"),
        digest("b"): WriteKey(
            digest("b"),
            "w",
            "dev",
            client="browser",
            origins=("https://app.example.com",),
            events_per_s=5,
            not_after=datetime(2026, 4, 1, tzinfo=UTC),  # to the end of that day
        ),
    }


def test_the_last_day_of_the_calendar_stands_for_ever(tmp_path: Path) -> None:
    write(tmp_path / "keys", f"- {{key_sha256: {digest('a')}, source: s, client: server, not_after: 9999-12-31}}", 1)

    assert not read(tmp_path / "keys")[digest("a")].expired(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp())


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """YAML takes the last one, and nobody sees which."""
    text = f"- key_sha256: {digest('a')}\n  source: s\n  client: server\n  not_after: 2026-03-31\n  not_after: 2027-03-31\n"
    write(tmp_path / "keys", text, 1)

    with pytest.raises(ConfigurationError, match="line 5, column 3: not_after is there twice"):
        read(tmp_path / "keys")


def test_every_fault_is_named(tmp_path: Path) -> None:
    faults = (
        entry("x", "")
        + entry("x", "s", origins=["app.example.com", "https://A.example"])
        + "- {key_sha256: x, source: s}"
    )
    write(tmp_path / "keys", faults + "\n" + entry("y", "s", events_per_s=0, burst_s=-1), 1)

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "keys")

    assert len(caught.value.problems) == 8


def test_all_faults_of_all_entries_are_told_at_once_with_what_there_is_to_choose(tmp_path: Path) -> None:
    first = entry("a", "web", plan="refuse", actor="robot", colour="red", events_per_s=0)
    second = f"- {{key_sha256: {digest('b')}, client: phone, backfill: maybe, not_after: soon, origins: [x]}}\n- 7\n"
    write(tmp_path / "keys", first + second, 1)

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "keys")

    told = [problem.partition(": entry ")[2] for problem in caught.value.problems]
    assert [each.rpartition(";")[0] or each for each in told if "no field" in each] == ["1: there is no field colour"]
    assert {each for each in told if " is none of " in each} == {
        "1: plan: 'refuse' is none of reject, observe, off",
        "1: actor: 'robot' is none of person, agent, integration",
        "2: client: 'phone' is none of server, browser",
    }
    assert [each.split(": ")[:2] for each in told if each.startswith("2: ")] == [
        ["2", "client"], ["2", "backfill"], ["2", "not_after"], ["2", "source"],
        ["2", "origin 'x' must be as browsers send it"],
    ]  # fmt: skip
    assert "1: events_per_s must be more than 0" in told
    assert "3: is no key; write fields such as key_sha256 and source" in told


def test_a_key_has_to_say_who_holds_it(tmp_path: Path) -> None:
    write(tmp_path / "keys", entry("a", "web") + f"- {{key_sha256: {digest('b')}, source: site}}\n", 1)

    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "keys")

    [problem] = caught.value.problems
    assert f"entry 2: client is missing from the key {id_of(digest('b'))} of source 'site'" in problem
    assert "client: server" in problem
    assert "client: browser" in problem


def test_a_key_that_anybody_can_read_may_not_set_the_times_of_events(tmp_path: Path) -> None:
    write(tmp_path / "keys", entry("a", "web", client="browser", backfill=True), 1)

    with pytest.raises(ConfigurationError, match="cannot have backfill"):
        read(tmp_path / "keys")


def test_a_key_in_the_clear_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for text in ("- {write_key: a, source: web}", "- source: web\n  write_key: a\n"):
        write(tmp_path / "keys", text, 1)
        with pytest.raises(ConfigurationError, match="key_sha256"):
            read(tmp_path / "keys")


@pytest.mark.parametrize(
    "text",
    [
        "- {key_sha256: a}",
        "a: 1",
        f"- {{key_sha256: {'0' * 64}, source: s, client: server, colour: red}}",
        f"- {{key_sha256: {'0' * 64}, source: s, client: phone}}",
        f"- {{key_sha256: {'0' * 64}, source: s, client: server, not_after: soon}}",
        "- [",
        "\x00",
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "keys", text, 1)

    with pytest.raises(ConfigurationError):
        read(tmp_path / "keys")


def test_a_change_is_taken_over_and_a_fault_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write(path, entry("a", "web"), 1)
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys.from_file(path, metrics)
    assert id_of(digest("a")) in generate_latest(metrics.registry).decode()

    write(path, entry("b", "web"), 2)
    keys.refresh()
    assert (keys.find("a"), keys.find("b"), keys.version) == (None, WriteKey(digest("b"), "web", client="server"), 1)
    assert id_of(digest("a")) not in generate_latest(metrics.registry).decode()

    def unreadable() -> float | None:
        return metrics.registry.get_sample_value("tidemark_ingest_file_unreadable", {"file": "write_keys"})

    assert unreadable() == 0
    write(path, "nonsense", 3)
    keys.refresh()
    assert (unreadable(), keys.unreadable) == (1, [str(path)])
    path.unlink()
    keys.refresh()
    assert keys.find("b") == WriteKey(digest("b"), "web", client="server")
    assert unreadable() == 1

    write(path, entry("c", "web"), 4)
    keys.refresh()
    assert (unreadable(), keys.unreadable) == (0, [])


def test_nothing_is_told_of_an_end_or_a_source_that_a_key_has_no_more(tmp_path: Path) -> None:
    path, metrics = tmp_path / "keys", IngestMetrics(CollectorRegistry())
    write(path, f"- {{key_sha256: {digest('a')}, source: web, client: server, not_after: 2190-12-01}}", 1)
    keys = WriteKeys.from_file(path, metrics)

    def told(name: str, source: str) -> float | None:
        labels = {"source": source, "key_id": id_of(digest("a"))}
        return metrics.registry.get_sample_value(f"tidemark_ingest_write_key_{name}_timestamp_seconds", labels)

    assert told("not_after", "web") == datetime(2190, 12, 2, tzinfo=UTC).timestamp()
    keys.used(keys.named("a"))
    write(path, entry("a", "web"), 2)
    keys.refresh()
    assert told("not_after", "web") is None
    assert told("last_used", "web")
    write(path, entry("a", "app"), 3)
    keys.refresh()
    assert (told("last_used", "web"), told("last_used", "app")) == (None, 0)


def test_two_keys_of_a_source_are_valid_until_the_older_ends() -> None:
    now = [0.0]
    until = datetime.fromtimestamp(100, UTC)
    keys = WriteKeys({"new": WriteKey("", "web"), "old": WriteKey("", "web", not_after=until)}, clock=lambda: now[0])

    assert keys.named("new").source == keys.named("old").source
    now[0] = 100.0
    with pytest.raises(Rejected, match="expired_write_key"):
        keys.named("old")
    assert keys.find("new") is not None


def test_a_long_name_is_not_even_hashed() -> None:
    assert WriteKeys({"x" * 300: WriteKey("", "web")}).find("x" * 300) is None


def test_before_a_key_is_named_pages_of_any_browser_key_are_welcome() -> None:
    server = WriteKey("", "api", client="server")
    page = WriteKey("", "site", client="browser", origins=("https://a.example",))

    assert WriteKeys({"s": server}).welcomes(b"https://evil.example")
    assert not WriteKeys({"s": server, "p": page}).welcomes(b"https://evil.example")
    assert WriteKeys({"s": server, "p": page}).welcomes(b"https://a.example")
    assert WriteKeys({"p": page, "q": msgspec.structs.replace(page, origins=())}).welcomes(b"https://evil.example")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_what_has_come_and_says_when_more_will_have() -> None:
    clock = Clock()
    bucket = Bucket(10, 2, clock)

    assert (bucket.take(15), bucket.take(15)) == (0.0, 1.0)
    clock.now += 1
    assert bucket.take(15) == 0.0
    clock.now += 100
    assert bucket.left() == 20
    assert bucket.take(50) == 0.0  # more than it holds: from a full one, which owes the rest
    assert bucket.take(50) == 5.0
    clock.now += 4.9
    assert bucket.take(1) == 0.0


def test_at_the_slowest_rate_one_is_still_taken_at_once_and_the_next_when_it_has_come() -> None:
    bucket = Bucket(0.01, 10, Clock())

    assert (bucket.size, bucket.take(1), bucket.take(1)) == (1.0, 0.0, 100.0)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "keys", entry("a", "web"), 1)
    (tmp_path / "keys").chmod(0o644)  # it holds hashes: to read them harms nobody
    assert read(tmp_path / "keys")

    (tmp_path / "keys").chmod(0o646)
    with pytest.raises(ConfigurationError, match=r"TIDEMARK_WRITE_KEYS_FILE: .* may write it.*chmod o-rwx"):
        read(tmp_path / "keys")


def test_a_clock_that_goes_back_gives_nothing() -> None:
    clock = Clock()
    clock.now = 50.0
    bucket = Bucket(10, 1, clock)
    bucket.take(10)
    clock.now = 0.0

    assert bucket.left() == 0


def test_what_a_key_has_used_up_outlives_a_change_of_the_file_but_not_of_its_rates(tmp_path: Path) -> None:
    path, clock, metrics = tmp_path / "keys", Clock(), IngestMetrics(CollectorRegistry())
    write(path, entry("a", "web", events_per_s=1, burst_s=1), 1)
    keys = WriteKeys.from_file(path, metrics)
    budgets = Budgets(keys, metrics, clock=clock)
    budgets.admit(keys.named("a"), 0)

    write(path, entry("a", "web", events_per_s=1, burst_s=1) + entry("b", "app"), 2)
    keys.refresh()
    with pytest.raises(RateLimited):
        budgets.admit(keys.named("a"), 0)
    write(path, entry("a", "web", events_per_s=2, burst_s=1), 3)
    keys.refresh()
    budgets.admit(keys.named("a"), 0)


def test_workers_share_a_rate() -> None:
    keys = WriteKeys({"a": WriteKey("", "web", events_per_s=8, burst_s=1)})
    budgets = Budgets(keys, IngestMetrics(CollectorRegistry()), share=1 / 4, clock=Clock())

    assert budgets.state(keys.named("a")) == (2, 2)


def test_the_counts_of_a_source_begin_at_zero_so_that_its_first_events_are_an_increase(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    write(path, entry("a", "web"), 1)
    metrics = IngestMetrics(CollectorRegistry())
    keys = WriteKeys.from_file(path, metrics)
    write(path, entry("a", "web") + entry("b", "app"), 2)
    keys.refresh()

    for source in ("web", "app"):
        labels = {"verdict": "accepted", "source": source}
        assert metrics.registry.get_sample_value("tidemark_ingest_events_total", labels) == 0
        for code in ("missing_field", "invalid_body", "origin_not_allowed"):
            labels = {"code": code, "source": source}
            assert metrics.registry.get_sample_value("tidemark_ingest_rejections_total", labels) == 0


def test_the_last_use_of_a_key_is_right_again_once_a_clock_that_was_ahead_is() -> None:
    registry, now = CollectorRegistry(), [1_800_000_000.0]
    keys = WriteKeys({"wk": WriteKey("", "web")}, IngestMetrics(registry), lambda: now[0])
    key = keys.named("wk")
    now[0] += 100 * 86_400
    keys.used(key)
    now[0] -= 100 * 86_400
    keys.used(key)

    labels = {"source": "web", "key_id": key.id}
    assert registry.get_sample_value("tidemark_ingest_write_key_last_used_timestamp_seconds", labels) == now[0]
