"""A wrong configuration is told whole and before anything starts; a server that is away is waited for."""

import socket
from http.server import BaseHTTPRequestHandler

import pytest

from services.shared.errors import Fatal, Retryable
from services.warehouse.__main__ import main
from services.warehouse.clickhouse.store import open_server
from tests.support.served import stub


def test_all_configuration_errors_are_listed_without_the_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", "clickhouse.example:8123/secret")
    monkeypatch.setenv("CLICKHOUSE_DATABASE", "drop table")
    monkeypatch.setenv("TIDEMARK_WAREHOUSE_BATCH_ROWS", "0")

    assert main(["--check-config"]) == 2

    told = capsys.readouterr().err
    for name in ("CLICKHOUSE_URL", "CLICKHOUSE_DATABASE", "TIDEMARK_WAREHOUSE_BATCH_ROWS"):
        assert name in told
    assert "secret" not in told


def test_a_server_that_does_not_answer_is_to_be_tried_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(Retryable, match="does not answer"):
        open_server(f"http://user:secret@127.0.0.1:{port}", "tidemark")


def test_a_server_that_refuses_stops_the_start_without_the_password() -> None:
    class Refuses(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b"Code: 516. DB::Exception: user: Authentication failed. (AUTHENTICATION_FAILED)"
            self.send_response(403)
            self.send_header("X-ClickHouse-Exception-Code", "516")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

    with stub(Refuses) as address:
        with pytest.raises(Fatal, match="Authentication failed") as caught:
            open_server(f"http://user:secret@{address}", "tidemark")
        assert "secret" not in str(caught.value)
