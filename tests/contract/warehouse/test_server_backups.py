"""A ClickHouse server is put back from its own backup, as docs/operating.md says, and the warehouse goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clickhouse_connect

from services.warehouse.clickhouse.store import ClickHouseStore, open_server
from tests.contract.warehouse.people import KIM, details, filled
from tests.contract.warehouse.stored import event
from tests.support.clickhouse_server import clickhouse_server

_CONFIG = """<clickhouse>
  <users_config>{folder}/users.xml</users_config>
  <backups><allowed_path>{folder}/backups</allowed_path></backups>
</clickhouse>"""
_USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users>
  <default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
</users></clickhouse>"""


def server_config(folder: Path) -> Path:
    """Write the configuration of a server that may keep backups in a folder."""
    (folder / "users.xml").write_text(_USERS)
    (folder / "config.xml").write_text(_CONFIG.format(folder=folder))
    return folder / "config.xml"


def held(store: ClickHouseStore) -> dict[str, Any]:
    tables = store._writer.query("SELECT name FROM system.tables WHERE database = 'tidemark' ORDER BY name").result_rows
    return {
        "tables": tables,
        "positions": store.positions(),
        "totals": store.totals(),
        "people": store._writer.query("SELECT user, user_id FROM people FINAL ORDER BY user").result_rows,
    }


def test_a_restored_database_has_its_rows_and_its_position_and_fills_what_is_derived(tmp_path: Path) -> None:
    backup = f"File('{tmp_path}/backups/monday/')"
    with clickhouse_server(tmp_path / "data", server_config(tmp_path)) as url:
        store = open_server(url, "tidemark")
        filled(store)
        store.note_positions({("usage-events", 0): 77})
        before = held(store)
        store.close()
        with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as client:
            client.query(f"BACKUP DATABASE tidemark TO {backup}")
            client.command("DROP DATABASE tidemark SYNC")
            client.query(f"RESTORE DATABASE tidemark FROM {backup}")

        again = open_server(url, "tidemark")
        after = held(again)
        again.insert("events", [event(77, "e77", user=KIM)])
        again.insert("event_details", [details(77, "u_new", "new@customer.example")])
        people = {user for user, _ in held(again)["people"]}
        position = again.positions()["usage-events", 0]
        again.close()

    assert after == before
    assert before["positions"]["usage-events", 0] == 77
    assert len(before["people"]) > 1
    assert "u_new" in people
    assert position == 78
