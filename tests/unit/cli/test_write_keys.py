"""Write keys are made by the tool and read by ingest."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from services.cli.commands import keys as keys_commands
from services.cli.local import write_keys
from services.cli.local.given_key import key_of
from services.cli.local.key_ring import KeyRing
from services.ingest.metrics import IngestMetrics
from services.ingest.write_keys.keys import WriteKeys
from services.ingest.write_keys.keys import read as read_as_ingest
from services.shared.credentials import digest, id_of
from services.shared.errors import Fatal

APP = typer.Typer()
keys_commands.register(APP)


def test_a_new_key_is_one_that_ingest_reads(tmp_path: Path) -> None:
    """Both sides agree on the file, and the key is not in it."""
    file = tmp_path / "new" / "write-keys.yaml"

    web = write_keys.add(file, "web", "production", client="server")
    staging = write_keys.add(file, "web-staging", "staging", client="server")
    history = write_keys.add(file, "import", "production", client="server", backfill=True)

    known = read_as_ingest(file)
    assert known[digest(web)].source == "web"
    assert known[digest(staging)].environment == "staging"
    assert [key.source for key in known.values() if key.backfill] == ["import"]
    assert not [key for key in (web, staging, history) if key in file.read_text()]


def test_a_key_is_added_only_once(tmp_path: Path) -> None:
    """A second owner of a key could not be told from the first."""
    write_keys.add(tmp_path / "keys.yaml", "web", "production", client="server", write_key="k")

    with pytest.raises(Fatal, match="already"):
        write_keys.add(tmp_path / "keys.yaml", "app", "production", client="server", write_key="k")


@pytest.mark.parametrize("source", ["", "two words", "x" * 65, "ü"])
def test_a_source_that_records_cannot_carry_is_refused(tmp_path: Path, source: str) -> None:
    """Names of sources are labels of metrics too."""
    with pytest.raises(Fatal, match="the source"):
        write_keys.add(tmp_path / "keys.yaml", source, "production", client="server")


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    """It says who may send; the ring says with which keys."""
    ring = KeyRing(tmp_path / "ring.json", tmp_path / "keys.yaml")
    ring.key("web")

    for name in ("ring.json", "keys.yaml"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


def test_the_ring_gives_the_same_key_again_while_ingest_takes_it(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "ring.json", tmp_path / "keys.yaml")
    web, history = ring.key("web"), ring.key("web", backfill=True)

    assert ring.key("web") == web != history == ring.key("web", backfill=True)
    assert ring.key("web", backfill=True, environment="staging") not in (web, history)
    write_keys.revoke(tmp_path / "keys.yaml", id_of(digest(web)))
    assert ring.key("web") not in (web, history)


def test_a_key_is_rotated_with_both_valid_for_a_while(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    old = write_keys.add(file, "web", "staging", client="browser", origins=["https://a.example"], events_per_s=5)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)

    new, id_of_old = write_keys.rotate(file, "web", until)

    assert id_of_old == id_of(digest(old))
    assert "&" not in file.read_text()  # an entry that refers to another cannot be deleted by hand
    known = read_as_ingest(file)
    assert known[digest(old)].not_after == until
    assert known[digest(new)].not_after is None
    assert known[digest(new)].origins == ("https://a.example",)
    assert (known[digest(new)].source, known[digest(new)].environment, known[digest(new)].client) == (
        "web",
        "staging",
        "browser",
    )
    newest, _ = write_keys.rotate(file, "web", until)  # the one without an end
    assert len({old, new, newest}) == len(read_as_ingest(file)) == 3
    with pytest.raises(Fatal, match="several keys"):
        write_keys.revoke(file, "web")
    with pytest.raises(Fatal, match="no key"):
        write_keys.rotate(file, "nobody", until)


def test_the_tool_prints_a_key_once_and_lists_it_by_its_id(tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    run = CliRunner().invoke
    where = ["--file", str(file)]
    page = ["--client", "browser", "--origin", "https://app.example.com", "--plan", "reject", "--actor", "agent"]
    created = run(APP, ["keys", "create", "--source", "site", *page, *where])
    assert created.exit_code == 0, created.output
    key = created.output.strip()

    (listed,) = json.loads(run(APP, ["keys", "list", "--json", *where]).output)
    assert listed == {
        "id": id_of(digest(key)), "source": "site", "environment": "production", "backfill": False,
        "client": "browser", "plan": "reject", "actor": "agent", "origins": ["https://app.example.com"],
    }  # fmt: skip
    assert run(APP, ["keys", "rotate", "site", "--keep-days", "1", *where]).exit_code == 0
    shown = run(APP, ["keys", "list", *where]).output
    assert len(shown.splitlines()) == 2
    assert "not_after=" in shown
    assert key not in shown
    assert run(APP, ["keys", "revoke", listed["id"], *where]).output.startswith("revoked")
    assert len(read_as_ingest(file)) == 1


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "https://App.example.com"])
def test_an_origin_that_no_browser_sends_is_refused(tmp_path: Path, origin: str) -> None:
    ran = CliRunner().invoke(
        APP,
        ["keys", "create", "--source", "s", "--client", "browser", "--origin", origin, "--file", str(tmp_path / "k")],
    )

    assert ran.exit_code != 0
    assert isinstance(ran.exception, Fatal)


def test_the_tool_asks_who_holds_a_key(tmp_path: Path) -> None:
    ran = CliRunner().invoke(APP, ["keys", "create", "--source", "s", "--file", str(tmp_path / "k")])

    assert ran.exit_code == 2
    assert "--client" in ran.output
    assert not (tmp_path / "k").exists()


def test_what_the_tool_writes_ingest_takes_over_while_running(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry

    file = tmp_path / "keys.yaml"
    first = write_keys.add(file, "web", "production", client="server")
    keys = WriteKeys.from_file(file, IngestMetrics(CollectorRegistry()))
    second, _ = write_keys.rotate(file, "web", datetime.now(UTC) - timedelta(seconds=1))
    keys.refresh()

    assert keys.find(first) is None
    assert keys.find(second) is not None


def test_no_key_of_a_browser_may_backfill(tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="backfill"):
        write_keys.add(tmp_path / "keys.yaml", "web", "production", client="browser", backfill=True)

    assert not (tmp_path / "keys.yaml").exists()


def test_keys_that_are_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    """Each run reads the file, adds its own and writes it: one at a time."""
    file = tmp_path / "keys.yaml"
    with ThreadPoolExecutor(16) as several:
        made = list(several.map(lambda n: write_keys.add(file, f"s{n}", "production", client="server"), range(64)))

    assert {digest(key) for key in made} == {entry["key_sha256"] for entry in write_keys.read(file)}


def test_the_ring_keeps_keys_that_are_made_at_the_same_time(tmp_path: Path) -> None:
    """A key that it forgot would be valid for ever, and nobody would know of what."""

    def ring_key(number: int) -> str:
        return KeyRing(tmp_path / "ring.json", tmp_path / "keys.yaml").key(f"s{number}")

    with ThreadPoolExecutor(16) as several:
        made = list(several.map(ring_key, range(32)))

    assert [ring_key(number) for number in range(32)] == made


@pytest.mark.parametrize(
    "text", ["- [", "\xff\xfe", "a: 1", "- web", "- key_sha256: aa", "- {key_sha256: 12, source: web}"]
)
def test_a_file_that_holds_no_keys_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "keys.yaml"
    file.write_bytes(text.encode("latin-1"))

    with pytest.raises(Fatal, match=str(file)):
        write_keys.read(file)


def test_a_list_of_keys_of_no_file_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(APP, ["keys", "list", "--file", str(tmp_path / "keys.yaml")])

    assert isinstance(result.exception, Fatal)
    assert "there is no file" in str(result.exception)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Fatal, match="cannot be written: "):
        write_keys.add(tmp_path / "file" / "keys.yaml", "web", "production", client="server")


def test_a_mark_of_the_encoding_is_no_part_of_a_key(tmp_path: Path) -> None:
    """Editors and shells of Windows begin files with one; nobody could send with such a key."""
    file = tmp_path / "key"
    file.write_text("tmk_abc\r\n", "utf-8-sig")

    assert key_of(file) == "tmk_abc"
