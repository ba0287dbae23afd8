"""Who may ask: by token, by origin, and on loopback without either."""

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from typer.testing import CliRunner

from services.cli.local import query_tokens
from services.shared.credentials import digest
from services.shared.errors import ConfigurationError, Fatal
from services.shared.http.server import FORWARDED
from services.shared.kafka.settings import KafkaSettings
from services.shared.settings import ProcessSettings, load
from services.warehouse.__main__ import check
from services.warehouse.http.app import query_app
from services.warehouse.http.guard import Guard, is_loopback, with_cors
from services.warehouse.http.tokens import Tokens, read
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from services.warehouse.settings import WarehouseSettings


class Counting(MemoryStore):
    asked = 0

    def newest(self) -> int | None:
        self.asked += 1
        return super().newest()


class Running:
    def __init__(self, file: Path | None, origins: tuple[str, ...] = (), host: str = "127.0.0.1:8081") -> None:
        self.registry = CollectorRegistry()
        self.store = Counting()
        self.now = time.time()
        metrics = WarehouseMetrics(self.registry)
        tokens = Tokens(file, metrics.tokens_unreadable, lambda: self.now) if file else None
        app = with_cors(Guard(query_app(lambda: self.store, metrics), tokens, metrics), origins)
        self.client = TestClient(app, base_url=f"http://{host}")

    def unreadable(self) -> float | None:
        self.now += 2
        return self.registry.get_sample_value("tidemark_warehouse_file_unreadable", {"file": "query_tokens"})

    def refused(self, code: str) -> float | None:
        return self.registry.get_sample_value("tidemark_warehouse_queries_refused_total", {"code": code})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_token_that_the_tool_made_opens_every_address(tmp_path: Path) -> None:
    file = tmp_path / "new" / "tokens.yaml"
    token = query_tokens.add(file, "console")
    running = Running(file, host="tidemark.example.com")

    answer = running.client.get("/v1/today", headers=bearer(token))

    assert answer.status_code == 200
    assert token not in file.read_text()
    assert read(file)[digest(token)].name == "console"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "missing_token"),
        ({"Authorization": "Bearer"}, "missing_token"),
        ({"Authorization": "Basic dG1xOg=="}, "missing_token"),
        (bearer("tmq_wrong"), "unknown_token"),
        (bearer("x" * 60_000), "unknown_token"),
    ],
)
@pytest.mark.parametrize("address", ["/v1/today", "/v1/accounts/a?at=x", "/nothing"])
def test_nothing_is_asked_without_a_known_token(
    tmp_path: Path, header: dict[str, str], code: str, address: str
) -> None:
    file = tmp_path / "tokens.yaml"
    query_tokens.add(file, "console")
    running = Running(file)

    answer = running.client.get(address, headers=header)

    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "tidemark tokens create" in answer.json()["detail"]
    assert running.store.asked == 0
    assert running.refused(code) == 1


def test_an_expired_token_says_until_when_it_was_valid_and_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    token = query_tokens.add(file, "kim", datetime.now(UTC) + timedelta(hours=1))
    running = Running(file)
    assert running.client.get("/v1/measures", headers=bearer(token)).status_code == 200

    running.now += 3_601
    answer = running.client.get("/v1/measures", headers=bearer(token))

    assert (answer.status_code, answer.json()["code"]) == (401, "expired_token")
    assert "make another one" in answer.json()["detail"]


def test_an_end_in_another_zone_is_told_in_utc(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    token = query_tokens.add(file, "kim")
    file.write_text(f"{file.read_text().rstrip()}\n  not_after: 2026-01-31 00:30:00 +02:00\n")

    answer = Running(file).client.get("/v1/measures", headers=bearer(token))

    assert "valid until 2026-01-30 22:30 UTC" in answer.json()["detail"]


def test_tokens_come_and_go_while_it_runs_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    kept, gone = query_tokens.add(file, "kept"), query_tokens.add(file, "gone")
    running = Running(file)

    def status(token: str) -> int:
        running.now += 2
        return running.client.get("/v1/measures", headers=bearer(token)).status_code

    assert (status(kept), status(gone)) == (200, 200)
    query_tokens.revoke(file, "gone")
    added = query_tokens.add(file, "added")
    assert (status(kept), status(gone), status(added)) == (200, 401, 200)

    file.write_text("- {name: x}\n")
    assert (status(kept), status(added)) == (200, 200)
    assert running.unreadable() == 1


def test_a_file_of_tokens_that_breaks_is_seen_although_nobody_asks_anything(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    query_tokens.add(file, "kept")
    running = Running(file)
    good = file.read_text()

    assert running.unreadable() == 0
    file.write_text("nonsense")
    assert running.unreadable() == 1
    file.write_text(good)
    assert running.unreadable() == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {name: x}", "token_sha256"),
        ("- {name: '', token_sha256: " + "a" * 64 + "}", "name"),
        ("- {name: x, token_sha256: short}", "64 hexadecimal digits"),
        (("- {name: x, token_sha256: " + "a" * 64 + "}\n") * 2, "twice"),
        ("- token: tmq_abc\n  name: x", "holds a token"),
        ("- name: x\n  name: y", "line 2, column 3: name is there twice"),
        ("- [", "TIDEMARK_QUERY_TOKENS_FILE"),
        ("- {name: x, token_sha256: " + "a" * 64 + ", rights: all}", "rights"),
    ],
)
def test_what_is_wrong_with_a_file_of_tokens_is_said(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=problem):
        Tokens(file)


def test_all_that_is_wrong_with_a_file_of_tokens_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text("- {name: 7, rights: all}\n- tmq\n- {name: '', token_sha256: short, not_after: soon}\n")

    with pytest.raises(ConfigurationError) as caught:
        read(file)

    told = [problem.partition(": entry ")[2] for problem in caught.value.problems]
    assert [" ".join(each.split()[:2]) for each in told] == [
        *("1: name:", "1: there", "1: token_sha256:", "2: is"),
        *("3: not_after:", "3: token_sha256", "3: name"),
    ]


def test_a_file_of_tokens_that_is_no_list_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text("name: x\n")

    with pytest.raises(ConfigurationError, match="is no list"):
        read(file)


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    query_tokens.add(file, "x")
    file.chmod(0o666)

    with pytest.raises(ConfigurationError, match="may read all accounts; run chmod"):
        read(file)


def test_an_end_that_is_a_day_is_the_end_of_that_day(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    file.write_text(f"- {{token_sha256: {'a' * 64}, name: x, not_after: 2026-03-31}}")

    assert read(file)["a" * 64].not_after == datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8081", "[::1]:8081", "127.1.2.3", "LOCALHOST"])
def test_on_loopback_without_tokens_this_machine_may_ask(host: str) -> None:
    assert Running(None).client.get("/v1/today", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "a:b:c"])
def test_a_page_whose_name_leads_to_loopback_may_not(host: str) -> None:
    """DNS rebinding: the browser of somebody who runs this may be made to ask for a page of another name."""
    running = Running(None)

    answer = running.client.get("/v1/today", headers={"Host": host})

    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_host")
    assert running.store.asked == 0


@pytest.mark.parametrize("header", sorted(FORWARDED))
def test_whoever_asks_through_a_proxy_on_this_machine_may_not_without_tokens(header: str) -> None:
    """The proxy is of this machine; who asks is not."""
    running = Running(None)

    answer = running.client.get("/v1/today", headers={"Host": "127.0.0.1", header: "203.0.113.9"})

    assert (answer.status_code, answer.json()["code"]) == (421, "forwarded")
    assert running.store.asked == 0


def test_pages_of_named_origins_may_read_errors_too(tmp_path: Path) -> None:
    file = tmp_path / "tokens.yaml"
    query_tokens.add(file, "x")
    running = Running(file, ("https://app.example.com",))

    ours = running.client.get("/v1/today", headers={"Origin": "https://app.example.com"})
    theirs = running.client.get("/v1/today", headers={"Origin": "https://evil.example"})
    asked = running.client.options(
        "/v1/today",
        headers={
            "Origin": "https://app.example.com",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )

    assert ours.status_code == 401
    assert ours.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Access-Control-Allow-Origin" not in theirs.headers
    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (200, "https://app.example.com")
    assert "Access-Control-Allow-Origin" not in Running(file).client.get("/", headers={"Origin": "null"}).headers


def test_pages_of_named_origins_may_read_every_header_that_an_answer_is_promised_to_have() -> None:
    running = Running(None, ("https://app.example.com",))

    answer = running.client.get("/v1/today", headers={"Origin": "https://app.example.com"})
    same = running.client.get("/v1/today", headers={"If-None-Match": answer.headers["ETag"]})

    exposed = {each.strip() for each in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert exposed == {"ETag", "Retry-After", "Tidemark-Erasures"}
    assert answer.headers["Tidemark-Erasures"]
    assert (same.status_code, same.headers["Tidemark-Erasures"]) == (304, answer.headers["Tidemark-Erasures"])


def test_wrong_tokens_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "tokens.yaml"
    query_tokens.add(file, "x")
    running = Running(file)

    with caplog.at_level(logging.WARNING):
        for number in range(50):
            running.client.get("/v1/today", headers=bearer(f"secret{number}"))

    assert [record.message for record in caplog.records] == ["question_refused"]
    assert "secret" not in caplog.text
    assert running.refused("unknown_token") == 50


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "tidemark.internal"])
def test_a_process_that_others_reach_does_not_start_without_tokens(host: str, tmp_path: Path) -> None:
    kafka, process = load(KafkaSettings), load(ProcessSettings, http_host=host)

    with pytest.raises(ConfigurationError, match=f"TIDEMARK_QUERY_TOKENS_FILE: must be set.*{host}"):
        check(kafka, process, load(WarehouseSettings))
    query_tokens.add(tmp_path / "tokens.yaml", "x")
    check(kafka, process, load(WarehouseSettings, query_tokens_file=tmp_path / "tokens.yaml"))
    with pytest.raises(ConfigurationError, match="tidemark tokens create"):
        check(kafka, process, load(WarehouseSettings, query_tokens_file=tmp_path / "none.yaml"))


def test_on_loopback_no_token_is_needed_to_start() -> None:
    check(load(KafkaSettings), load(ProcessSettings), load(WarehouseSettings))
    assert all(map(is_loopback, ("127.0.0.1", "::1", "localhost", "[::1]")))


@pytest.mark.parametrize("origins", ["*", "app.example.com", "https://app.example.com/", "https://a.example, HTTP://b"])
def test_a_wrong_origin_is_named(origins: str) -> None:
    with pytest.raises(ConfigurationError, match="TIDEMARK_QUERY_CORS_ORIGINS: .* must be an origin"):
        load(WarehouseSettings, query_cors_origins=origins)

    good = load(WarehouseSettings, query_cors_origins="https://a.example, http://localhost:3000")
    assert good.cors_origins == ("https://a.example", "http://localhost:3000")


def test_the_tool_creates_lists_and_revokes_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from services.cli.commands import tokens as commands

    app = typer.Typer()
    commands.register(app)
    file = tmp_path / "tokens.yaml"
    monkeypatch.setenv("TIDEMARK_QUERY_TOKENS_FILE", str(file))

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["tokens", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    token = run("create", "kim's notebook", "--days", "7").strip()
    run("create", "console")

    assert file.stat().st_mode & 0o777 == 0o600
    found = run("list").splitlines()
    assert "kim's notebook  valid until" in found[0]
    assert found[1].endswith("  console")
    assert token not in run("list", "--json")
    assert "kim's notebook" in run("revoke", digest(token)[:8])
    assert len(run("list").splitlines()) == 1
    with pytest.raises(Fatal, match="tokens list"):
        query_tokens.revoke(file, "nobody")
    query_tokens.add(file, "console")
    with pytest.raises(Fatal, match="give the id"):
        query_tokens.revoke(file, "console")
    with pytest.raises(Fatal, match="printable"):
        query_tokens.add(file, "a\nb")
