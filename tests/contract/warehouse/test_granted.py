"""
What a business intelligence tool can read with the rights that docs/sql.md gives it, and what it cannot.

The engine enforces them: a server on which the warehouse writes, and then one over the same files whose user has the statements
of the page and nothing else. Its tables have definers, as they do where a server writes down whose rights a materialized view has
(`ignore_empty_sql_security_in_create_view_query` is 0, and ClickHouse means to make it so everywhere).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from services.warehouse.clickhouse.store import ClickHouseStore, open_server
from services.warehouse.views import VIEWS
from tests.contract.warehouse.people import JO, details, order
from tests.contract.warehouse.stored import event, health, signal
from tests.support.clickhouse_server import clickhouse_server

PAGE = Path(__file__).parents[3] / "docs/sql.md"
USER_ID = "jo@customer.example"
_CONFIG = """<clickhouse>
  <users_config>{users}</users_config>
  <ignore_empty_sql_security_in_create_view_query>0</ignore_empty_sql_security_in_create_view_query>
</clickhouse>"""
_USER = "<{name}><password/><networks><ip>::/0</ip></networks><profile>{profile}</profile><quota>default</quota>{more}</{name}>"


def documented() -> tuple[dict[str, str], list[str]]:
    """Return the settings of the page's user, and its rights as a file of users has them: without the name."""
    (block,) = (text for text in re.findall(r"```\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL) if "GRANT" in text)
    created, *rights = block.strip().split(";\n")
    settings = re.findall(r"(\w+) = (\w+)", created.partition("SETTINGS")[2])
    return dict(settings), [re.sub(r" (?:TO|FROM) bi;?$", "", statement) for statement in rights]


def config(folder: Path, settings: dict[str, str], rights: list[str]) -> Path:
    """Write a configuration whose `default` has these settings and rights (none: all), and whose `warehouse` has all."""
    queries = "".join(f"<query>{right}</query>" for right in rights)
    users = _USER.format(name="warehouse", profile="default", more="")
    users += _USER.format(name="default", profile="given", more=f"<grants>{queries}</grants>" if rights else "")
    given = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
    folder.mkdir()
    (folder / "users.xml").write_text(
        f"<clickhouse><profiles><default/><given>{given}</given></profiles><quotas><default/></quotas>"
        f"<users>{users}</users></clickhouse>"
    )
    (folder / "config.xml").write_text(_CONFIG.format(users=folder / "users.xml"))
    return folder / "config.xml"


def fill(store: ClickHouseStore) -> None:
    store.insert("events", [event(1, "e1", user=JO)])
    store.insert("event_details", [details(1, JO, USER_ID)])
    store.insert("account_health", [health(1, "acme")])
    store.insert("signals", [signal(1, "acme", "nps", 1, "FIRING")])
    store.note_erasures([order(user=JO)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("granted")


@pytest.fixture(scope="module")
def tables(folder: Path) -> list[str]:
    """What the warehouse has made and filled, by its own rights: nobody is shown what they may not read."""
    writes = config(folder / "writes", {"default_view_definer": "warehouse"}, [])
    with clickhouse_server(folder / "data", writes) as url:
        store = open_server(url, "tidemark")
        fill(store)
        found = store._writer.query("SELECT name FROM system.tables WHERE database = 'tidemark'").result_rows
        store.close()
    return [name for (name,) in found]


@pytest.fixture(scope="module")
def bi(folder: Path, tables: list[str]) -> Iterator[Client]:
    with clickhouse_server(folder / "data", config(folder / "reads", *documented())) as url:
        client = clickhouse_connect.get_client(dsn=url, database="tidemark", autogenerate_session_id=False)
        yield client
        client.close()


def text(client: Client, table: str) -> str:
    """Return a table as tab-separated text, the names of its columns first, or why it may not be read."""
    try:
        raw = client.raw_query(f"SELECT * FROM {table}", fmt="TabSeparatedWithNames")
    except DatabaseError as error:
        return str(error)
    return raw.decode(errors="replace")  # states of aggregates are no text


@pytest.mark.parametrize("view", VIEWS)
def test_it_reads_each_documented_view(bi: Client, view: str) -> None:
    columns, *_ = text(bi, view).split("\n")

    assert VIEWS[view].order.split(", ")[0] in columns.split("\t")


def test_it_finds_rows_in_what_it_reads(bi: Client) -> None:
    assert bi.query("SELECT account FROM accounts_today").result_rows == [("acme",)]


def test_nothing_that_it_reads_says_who_somebody_is(bi: Client, tables: list[str]) -> None:
    answers = {name: text(bi, name) for name in tables}
    denied = {name for name, answer in answers.items() if "ACCESS_DENIED" in answer}

    assert denied == {"people", "people_of_details", "event_details", "erasures"}
    assert JO in answers["events"]
    assert [name for name, answer in answers.items() if USER_ID in answer] == []


def test_a_tool_may_set_a_limit_of_its_own_for_a_query(bi: Client) -> None:
    """Grafana sends max_execution_time with each query, drivers send others."""
    assert bi.query("SELECT 1 SETTINGS max_execution_time = 30, result_overflow_mode = 'break'").result_rows == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO positions VALUES ('usage-events', 0, 1)",
        "ALTER TABLE events DELETE WHERE 1",
        "DROP TABLE events",
        "CREATE TABLE mine (x Int8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    ],
)
def test_it_changes_nothing_and_reads_nothing_elsewhere(bi: Client, statement: str) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED|READONLY"):
        bi.command(statement)
