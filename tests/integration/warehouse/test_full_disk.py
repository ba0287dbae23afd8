"""The embedded store on a disk that is really full: told as such, nothing half stored, and it goes on by itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

IN_ITS_OWN_NAMESPACE = ["unshare", "--map-root-user", "--mount"]

PROGRAM = """
import os, shutil, sys, time
from pathlib import Path

from schemas import codec
from services.shared.errors import Fatal, Retryable
from services.warehouse.clickhouse.store import open_embedded
from services.warehouse.domain.rows import Place, row
from services.warehouse.ports import StoreFull

disk = Path(sys.argv[1])
fill = disk / "fill"


def room(left):
    fill.unlink(missing_ok=True)
    fill.write_bytes(os.urandom(max(0, shutil.disk_usage(disk).free - left)))


def tried(call):
    try:
        return call()
    except StoreFull as error:
        print("FULL:", error)
        return None


room(0)
assert tried(lambda: open_embedded(disk / "store", "tidemark")) is None
room(80_000_000)
store = tried(lambda: open_embedded(disk / "store", "tidemark"))
assert store is not None

room(8_000_000)
event = {
    "source": "web", "environment": "production", "account": "acme", "user": "u", "name": "x", "id_source": "CLIENT",
    "kind": "TRACK", "occurred_at": 1, "received_at": int(time.time() * 1000), "event_id": "",
}
event = codec.decode(codec.encoder("usage_event")(event))[1]
stored = 0
while True:
    rows = [
        row(
            Place("usage-events", 0, stored + n, 0),
            "usage_event",
            {**event, "event_id": os.urandom(16).hex(), "properties": os.urandom(600).hex()},
        )
        for n in range(400)
    ]
    try:
        store.insert("events", rows)
    except StoreFull as error:
        print("FULL:", error)
        break
    stored += 400
assert 0 < stored < 400_000
try:
    left = store.positions()[("usage-events", 0)]
    assert left in (stored, stored + 400), "a batch that failed is there whole or not at all"
except Retryable as error:
    print("no answer while it is full:", error)
room(16_000_000)
store.insert("events", rows)
assert store.positions() == {("usage-events", 0): stored + 400}
assert [(t["rows"], t["unique"]) for t in store.totals()] == [(stored + 400, stored + 400)]
arrived = store._found("SELECT groupBitmapMerge(events) AS n FROM arrivals")
assert arrived == [{"n": stored + 400}], "what a view adds is there too"

class Large:
    format, query = "CSV", "SELECT properties FROM events"

room(200_000)
try:
    list(store.export(Large))
except Retryable as error:
    print("EXPORT:", error)
try:
    store.note_positions({})
except Fatal as error:
    print("FATAL:", error)
room(80_000_000)
store.close()
store = open_embedded(disk / "store", "tidemark")
assert store.positions() == {("usage-events", 0): stored + 400}
assert [(t["rows"], t["unique"]) for t in store.totals()] == [(stored + 400, stored + 400)]
store.close()
print("went on")
"""


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*IN_ITS_OWN_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="a small disk needs a mount namespace, which this machine does not give")
def test_an_embedded_store_on_a_full_disk_says_so_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    program = tmp_path / "fills.py"
    program.write_text(PROGRAM, "utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = 'mount -t tmpfs -o size=256m tmpfs "$1" && exec "$2" "$3" "$1"'

    done = subprocess.run(
        [*IN_ITS_OWN_NAMESPACE, "sh", "-c", mounted, "sh", str(disk), sys.executable, str(program)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr[-2_000:]
    assert done.stdout.count("FULL: the disk of the store is full") == 2
    assert done.stdout.count("EXPORT: the disk of the store has no room for the file") == 1
    assert done.stdout.count("FATAL: a write of the embedded store failed") == 1, "an export's may have been a merge's"
    assert done.stdout.splitlines()[-1] == "went on"
