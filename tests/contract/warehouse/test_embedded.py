"""The engine within the process: its folder, its migrations, its disk."""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, cast

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from services.console.settings import ConsoleSettings
from services.shared.errors import Fatal
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings
from services.shared.units import DAY_MS, HOUR_MS
from services.warehouse.__main__ import Warehouse
from services.warehouse.clickhouse import asking, current
from services.warehouse.clickhouse.derived import make_whole
from services.warehouse.clickhouse.migrations import migrate
from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.domain.filters import AccountFilter, EventFilter, PeopleFilter, SignalFilter
from services.warehouse.domain.rows import Place, row
from services.warehouse.ports import Store, StoreFull
from services.warehouse.settings import RetentionSettings, WarehouseSettings
from tests.contract.warehouse.stored import T0, event, example, health, signal


def test_an_embedded_store_keeps_its_rows_when_it_is_opened_again(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    store.insert("events", [event(1, "a")])
    store.close()

    store = open_embedded(tmp_path / "ch", "tidemark")
    try:
        assert len(store.events(EventFilter("acme")).rows) == 1
        assert store.positions() == {("usage-events", 0): 2}
    finally:
        store.close()


def test_totals_take_a_small_part_of_the_memory_that_questions_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    monkeypatch.setitem(asking.BOUNDED, "max_memory_usage", 28 * 1024 * 1024)
    try:
        store._writer.command(
            """INSERT INTO account_health (topic, partition, offset, account) SELECT 'account-health', number % 24, number,
                concat('account-', toString(number % 5000)) FROM numbers(200000)"""
        )

        assert store.totals() == [{"topic": "account-health", "rows": 200_000, "unique": 200_000, "exact": True}]
    finally:
        store.close()


def test_all_accounts_are_counted_in_their_stages_however_many_owners_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    try:
        store._writer.command(
            """INSERT INTO account_health (topic, partition, offset, account, owner, stage, band, at, body)
            SELECT 'account-health', 0, number, toString(number), leftPad(toString(number), 5, '0'),
                if(number < 10000, 'ADOPTION', 'RENEWAL'), 'GREEN', toDateTime64('2026-01-01 00:00:00', 3, 'UTC'), '{}'
            FROM numbers(10100)"""
        )
        held = store.choices()
        monkeypatch.setattr(current, "MOST_HELD", 10_000)
        store.forget()

        assert Counter(each["stage"] for each in held) == {"ADOPTION": 10_000, "RENEWAL": 100}
        assert store.choices() == held
    finally:
        store.close()


def test_files_that_a_killed_process_left_are_gone_after_the_next_start(tmp_path: Path) -> None:
    for left in ("export-1/rows", "tmp1.raw"):
        (tmp_path / "scratch" / left).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scratch" / left).write_text("ada@acme.test")

    store = open_embedded(tmp_path / "ch", "tidemark")

    try:
        assert store.files == tmp_path / "scratch"
        assert list(store.files.iterdir()) == []
    finally:
        store.close()


def test_the_process_writes_rows_to_no_temporary_file_outside_its_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # is set back after the test
    process = ProcessSettings(data_dir=tmp_path)
    warehouse = Warehouse(KafkaSettings(), process, WarehouseSettings(), RetentionSettings(), ConsoleSettings())

    store = warehouse._open()

    try:
        assert Path(tempfile.gettempdir()) == store.files == tmp_path / "scratch"
        store.insert("events", [event(1, "a")])
        assert list(store.files.iterdir()) == []
    finally:
        store.close()


def test_traces_are_read_on_connections_of_questions_so_rows_can_be_stored_meanwhile(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    writer, store._writer = store._writer, None  # type: ignore[assignment]
    try:
        assert store.traces(user="u_nobody______________").rows == {}
        assert store.traces(account="acme").rows == {}
        assert store.erasures() == []
    finally:
        store._writer = writer
        store.close()


def test_a_second_process_on_the_same_folder_is_told_so(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark")
    assert store.files
    being_written = store.files / "rows"
    being_written.touch()
    program = (
        "import sys, pathlib\nfrom services.warehouse.clickhouse.store import open_embedded\n"
        "open_embedded(pathlib.Path(sys.argv[1]), 'tidemark')"
    )
    try:
        second = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "ch")], capture_output=True, text=True, check=False
        )
    finally:
        store.close()

    assert second.returncode != 0
    assert being_written.exists(), "what the first one is writing is its own"
    said = second.stderr.splitlines()[-1]
    assert "another process has it open" in said
    assert "TIDEMARK_DATA_DIR" in said
    assert "CLICKHOUSE_URL" in said


def test_a_migration_that_changed_after_it_was_applied_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_embedded(tmp_path / "ch", "tidemark").close()
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_events.sql").write_text("SELECT 1;\n")
    monkeypatch.setattr(migrate, "__defaults__", (folder,))

    with pytest.raises(Fatal, match=r"0001_events.sql has changed"):
        open_embedded(tmp_path / "ch", "tidemark")


@pytest.mark.parametrize("statement", [2, 3, 6])
def test_a_start_that_failed_amid_the_migrations_is_made_up_for_by_the_next(tmp_path: Path, statement: int) -> None:
    class Fails:
        """A client whose nth statement is run, and its answer lost."""

        def __init__(self, client: Any) -> None:
            self._client = client
            self._left = statement
            self.query, self.insert = client.query, client.insert

        def command(self, cmd: str, /, *, settings: dict[str, Any] | None = None) -> None:
            self._client.command(cmd, settings=settings)
            self._left -= 1
            if not self._left:
                raise ConnectionError

    client = clickhouse_connect.get_client(interface="chdb", path=str(tmp_path / "ch"))
    client.command("CREATE DATABASE tidemark")
    client.database = "tidemark"
    client.command("USE tidemark")
    with pytest.raises(ConnectionError):
        migrate(cast(Client, Fails(client)))
    client.close()

    store = open_embedded(tmp_path / "ch", "tidemark")
    try:
        store.insert("events", [event(1, "a")])
        assert len(store.events(EventFilter("acme")).rows) == 1
    finally:
        store.close()


def test_a_disk_without_room_is_said_to_be_full(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        store._writer.command(
            "ALTER TABLE events MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000"
        )

        with pytest.raises(StoreFull, match="the disk of the store is full"):
            store.insert("events", [event(1, "a")])
    finally:
        store.close()


def test_the_engine_keeps_to_the_memory_that_it_may_take(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "ch", "tidemark", memory_mb=300)
    try:
        caches = "SELECT name, toUInt64(value) FROM system.server_settings WHERE name LIKE '%cache_size' AND name IN"
        names = "('mark_cache_size', 'primary_index_cache_size', 'index_mark_cache_size', 'query_condition_cache_size')"
        assert sum(size for _, size in store._writer.query(f"{caches} {names}").result_rows) < 75 * 1024 * 1024
        with pytest.raises(ClickHouseError, match="MEMORY_LIMIT_EXCEEDED"):
            store._writer.query("SELECT length(groupArray(number)) FROM numbers(100000000)")
        assert store.positions() == {}
    finally:
        store.close()


def test_a_store_that_was_just_opened_takes_less_than_200_mb_of_its_own(tmp_path: Path) -> None:
    """What the process shares with others on the machine, the engine's library, is not its own."""
    program = (
        "import sys, pathlib\nfrom services.warehouse.__main__ import open_embedded\n"
        "store = open_embedded(pathlib.Path(sys.argv[1]), 'tidemark')\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('RssAnon')))\n"
        "store.close()"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "ch")], capture_output=True, text=True, check=True
    )

    assert 20_000 < int(done.stdout) < 200_000


@pytest.mark.parametrize("lost", ["offset >= 2", "true"])
def test_what_a_death_left_out_of_the_tables_of_views_is_there_after_the_next_start(tmp_path: Path, lost: str) -> None:
    hour = time.time_ns() // 1_000_000 // HOUR_MS * HOUR_MS
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    store.insert(
        "account_health", [health(1, "acme", score_tenths=1), health(2, "acme"), health(3, "it's", score_tenths=2)]
    )
    store.insert("events", [event(n, f"e{n}", received_at=hour, occurred_at=T0 + n) for n in range(4)])
    store.insert("events", [event(4, "e4", received_at=hour, environment="staging")])
    store.insert("signals", [signal(n, "acme", f"rule{n}", 1, "FIRING") for n in range(4)])

    def told(store: Store) -> object:
        lists = store.accounts(AccountFilter()), store.accounts(AccountFilter(until_day=30_000))
        days = store.account_days("acme", 0), store.account_people(PeopleFilter("acme", T0 // DAY_MS, days=900))
        return lists, days, store.history("acme", 3), store.arrivals(hour), store.signals(SignalFilter(open_only=True))

    whole = told(store)
    for table in (
        "account_health_days",
        "account_health_states",
        "account_health_current",
        "arrivals",
        "signal_episodes",
        "account_event_days",
        "account_user_days",
    ):
        store._writer.command(f"ALTER TABLE {table} DELETE WHERE {lost} SETTINGS mutations_sync = 2")
    assert told(store) != whole
    store.close()

    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    try:
        assert told(store) == whole
    finally:
        store.close()


def test_a_start_stores_nothing_again_of_a_partition_that_has_been_quiet_for_longer_than_arrivals_are_kept(
    tmp_path: Path,
) -> None:
    now = time.time_ns() // 1_000_000
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    store.insert("events", [event(n, f"e{n}", received_at=now - 40 * 24 * HOUR_MS) for n in range(4)])
    store._writer.command("OPTIMIZE TABLE arrivals FINAL")
    try:
        assert make_whole(store._writer) == {}
        assert store._writer.query("SELECT count() FROM arrivals").result_rows == [(0,)]
    finally:
        store.close()


def test_a_start_stores_nothing_again_where_the_last_events_make_no_rows_of_days(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    store.insert("events", [event(1, "a"), event(2, "b", user=""), event(3, "c", environment="staging")])
    store.insert("events", [event(9, "d", topic="usage-unattributed", account="", partition=7)])
    try:
        assert make_whole(store._writer) == {}
        store._writer.command("TRUNCATE TABLE account_user_days")
        store._writer.command("TRUNCATE TABLE account_event_days")
        assert make_whole(store._writer) == {"account_event_days": 1, "account_user_days": 1}
        assert [(each["events"], each["active_users"]) for each in store.account_days("acme", 0).rows] == [(2, 1)]
    finally:
        store.close()


def test_a_start_that_ends_while_it_stores_what_lacked_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    store.insert("events", [event(n, f"e{n}") for n in range(4)])
    store._writer.command("TRUNCATE TABLE account_event_days")
    command = store._writer.command

    def dies(text: str, **given: Any) -> Any:
        if "ATTACH" in text:
            raise KeyboardInterrupt
        return command(text, **given)

    monkeypatch.setattr(store._writer, "command", dies)
    try:
        with pytest.raises(KeyboardInterrupt):
            make_whole(store._writer)
        monkeypatch.undo()

        assert store.account_days("acme", 0).rows == []
        assert make_whole(store._writer) == {"account_event_days": 1}
        assert [each["events"] for each in store.account_days("acme", 0).rows] == [4]
        tables = store._writer.query("SELECT count() FROM system.tables WHERE name LIKE '%draft'").result_rows
        assert tables == [(0,)]
    finally:
        store.close()


def test_a_person_whom_a_death_left_out_is_known_after_the_next_start(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    value = example("event_details/examples/track.json", user="u_jo__________________", user_id="jo@acme.com")
    details = row(Place("usage-details", 0, 1, time.time_ns() // 1_000_000), "event_details", value)
    assert details is not None
    store.insert("event_details", [details])
    store._writer.command("ALTER TABLE people DELETE WHERE 1 SETTINGS mutations_sync = 2")
    try:
        assert make_whole(store._writer) == {"people": 1}
        assert store.people(["u_jo__________________"]) == {"u_jo__________________": "jo@acme.com"}
        assert make_whole(store._writer) == {}
    finally:
        store.close()


def test_a_start_stores_nothing_again_where_the_last_signals_are_repetitions(tmp_path: Path) -> None:
    store = open_embedded(tmp_path / "clickhouse", "tidemark")
    turns = [(1, "FIRING"), (2, "RESOLVED"), (1, "FIRING"), (2, "RESOLVED")]
    store.insert("signals", [signal(n, "acme", "rule", *turn) for n, turn in enumerate(turns)])
    store._writer.command("OPTIMIZE TABLE signal_episodes FINAL")
    try:
        assert make_whole(store._writer) == {}
        store._writer.command("TRUNCATE TABLE signal_episodes")
        assert make_whole(store._writer) == {"signal_episodes": 1}
    finally:
        store.close()
