"""Records become rows of the right table; what makes no row is counted and never stops a batch."""

import re

from schemas import codec
from services.warehouse.clickhouse.migrations import FOLDER, statements
from services.warehouse.domain import rows
from services.warehouse.filling.batch import build
from tests.support.alerter import snapshot
from tests.support.warehouse_events import Message

EVENT = codec.encoder("usage_event")(
    {
        "event_id": "e",
        "source": "web",
        "environment": "production",
        "account": "acme",
        "user": "u",
        "name": "x",
        "id_source": "CLIENT",
        "kind": "TRACK",
        "occurred_at": 1,
        "received_at": 2,
    }
)
TICK = codec.encoder("tick")({"at": 3})


def test_control_records_make_no_row_and_are_counted() -> None:
    batch = build({("usage-events", 0): [Message(4, 10, TICK), Message(5, 20, EVENT), Message(6, 30, TICK)]})

    assert [row[:4] for row in batch.rows["events"]] == [("usage-events", 0, 5, 20)]
    assert batch.skipped == {("usage-events", "control"): 2}
    assert (batch.oldest, batch.newest) == ({("usage-events", 0): 10}, {("usage-events", 0): 30})


def test_the_oldest_record_is_told_of_each_partition_since_one_may_have_waited_longest() -> None:
    batch = build(
        {
            ("usage-events", 0): [Message(4, 90, EVENT)],
            ("usage-events", 1): [Message(7, 20, EVENT), Message(8, 95, EVENT)],
        }
    )

    assert batch.oldest == {("usage-events", 0): 90, ("usage-events", 1): 20}


def test_an_unreadable_record_is_skipped_and_the_rest_goes_on() -> None:
    batch = build({("usage-events", 1): [Message(0, 1, b"junk"), Message(1, 1, None), Message(2, 1, EVENT)]})

    assert len(batch.rows["events"]) == 1
    assert batch.skipped == {("usage-events", "unreadable"): 2}


def test_a_record_of_a_newer_version_ends_the_batch_of_its_partition_and_of_no_other() -> None:
    newer = Message(5, 20, b"\x00\x00\x00\x00\xff newer")
    batch = build(
        {
            ("usage-events", 0): [Message(4, 10, EVENT), newer, Message(6, 30, EVENT)],
            ("usage-events", 1): [Message(9, 10, EVENT)],
        }
    )

    assert [row[1:3] for row in batch.rows["events"]] == [(0, 4), (1, 9)]
    assert {place: stop.offset for place, stop in batch.stopped.items()} == {("usage-events", 0): 5}
    assert batch.skipped == {}


def test_a_record_of_a_kind_that_belongs_elsewhere_is_skipped_and_does_not_stop_the_batch() -> None:
    health = codec.encoder("account_health")(snapshot(20_000, "acme"))
    batch = build({("usage-events", 0): [Message(0, 1, health), Message(1, 1, EVENT)]})

    assert [len(row) for row in batch.rows["events"]] == [len(rows.columns("events"))]
    assert batch.skipped == {("usage-events", "misplaced"): 1}


def test_a_forgotten_account_makes_a_row_and_only_on_account_health() -> None:
    gone = codec.encoder("account_forgotten")({"account": "acme", "at": 1_764_633_600_000, "historical": True})
    health = [Message(0, 1_764_700_000_000, gone, b"acme"), Message(1, 8, None, b"acme")]
    batch = build({("account-health", 0): health, ("risk-signals", 0): [Message(0, 1, gone, b"acme")]})

    (made,) = batch.rows["account_health"]
    told = dict(zip(rows.columns("account_health"), made, strict=True))
    assert (told["account"], told["reason"], told["body"], told["offset"]) == ("acme", "FORGOTTEN", "", 0)
    assert (told["at"], told["historical"]) == (rows.instant(1_764_633_600_000), True)
    assert batch.skipped == {("account-health", "unreadable"): 1, ("risk-signals", "misplaced"): 1}


def test_both_event_topics_share_a_table_and_keep_their_names() -> None:
    batch = build({("usage-unattributed", 0): [Message(0, 1, EVENT)], ("usage-events", 0): [Message(0, 1, EVENT)]})

    assert {row[0] for row in batch.rows["events"]} == {"usage-unattributed", "usage-events"}


def test_columns_are_those_of_the_tables_in_their_order() -> None:
    text = "\n".join(path.read_text("utf-8") for path in sorted(FOLDER.glob("*.sql")))

    for table in ("events", "account_health", "signals"):
        created = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\)", text, re.DOTALL)
        assert created is not None
        names = re.findall(r"^    (?!INDEX)(\w+) ", created[1], re.MULTILINE)
        assert tuple(names) == rows.columns(table)


def test_no_table_is_partitioned_since_an_insert_could_then_be_half_stored() -> None:
    for path in FOLDER.glob("*.sql"):
        for statement in statements(path.read_text("utf-8")):
            code = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
            # Not the parentheses of a window in a view.
            assert not re.search(r"^\s*PARTITION BY", code, re.MULTILINE), path.name
            assert "PARTITION BY" not in code or "OR REPLACE VIEW" in code, path.name


def test_every_statement_may_be_run_again() -> None:
    for path in FOLDER.glob("*.sql"):
        for statement in statements(path.read_text("utf-8")):
            code = "\n".join(line for line in statement.splitlines() if not line.startswith("--"))
            assert re.match(r"\s*CREATE ((TABLE|MATERIALIZED VIEW) IF NOT EXISTS|OR REPLACE VIEW) ", code), path.name


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    assert statements("-- only words\n;\nSELECT ';';\n-- why\nSELECT 2;\n") == ["SELECT ';'", "-- why\nSELECT 2"]


def test_migration_files_are_numbered_from_one_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted(FOLDER.glob("*.sql"))]

    assert numbers == list(range(1, len(numbers) + 1))


def test_a_nonsense_value_stops_no_batch() -> None:
    for wild in (float("nan"), float("inf"), -5.0, 1e300):
        value = codec.encoder("account_health")(snapshot(silent_days=wild))

        batch = build({("account-health", 0): [Message(1, 10, value)]})

        assert batch.rows["account_health"][0][rows.columns("account_health").index("silent_days")] == -1
