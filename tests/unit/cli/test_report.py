"""`tidemark report` against a query API over HTTP, with and without a token."""

import asyncio
import email
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner, Result

from services.cli.commands import report
from services.cli.local import query_tokens
from services.shared.errors import Fatal, Rejected
from services.shared.http.server import serving
from services.shared.kafka.embedded.free_ports import free_port
from services.warehouse.http.app import query_app
from services.warehouse.http.guard import Guard
from services.warehouse.http.tokens import Tokens
from services.warehouse.metrics import WarehouseMetrics
from tests.support.console import filled


class Api:
    """A query API that asks for tokens."""

    address: str
    token: Path


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    for name in ("TIDEMARK_QUERY_TOKEN", "TIDEMARK_CONSOLE_LANGUAGE", "TIDEMARK_CONSOLE_CURRENCY"):
        monkeypatch.delenv(name, raising=False)
    made, file, store = Api(), tmp_path / "tokens.yaml", filled(["acme"])
    made.token = tmp_path / "token"
    made.token.write_text(query_tokens.add(file, "reports") + "\n")
    metrics = WarehouseMetrics(CollectorRegistry())
    app: Any = Guard(query_app(lambda: store, metrics), Tokens(file, metrics.tokens_unreadable), metrics)
    async with serving(app, "127.0.0.1", 0) as port:
        made.address = f"http://127.0.0.1:{port}"
        yield made


async def run(*arguments: object) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    report.register(app)
    return await asyncio.to_thread(CliRunner().invoke, app, ["report", *map(str, arguments)])


@pytest.mark.parametrize("other", ["week.html", "./week.html"])
async def test_one_file_cannot_be_both_the_page_and_the_email(api: Api, tmp_path: Path, other: str) -> None:
    page = tmp_path / "week.html"

    done = await run("--api", api.address, "--token-file", api.token, "--to", page, "--email", f"{tmp_path}/{other}")

    assert "--to and --email both name" in str(done.exception)
    assert not page.exists()


async def test_it_writes_a_page_and_an_email(api: Api, tmp_path: Path) -> None:
    page, mail = tmp_path / "week.html", tmp_path / "week.eml"
    options = ("--api", api.address, "--token-file", api.token, "--language", "it", "--recipient", "nora@acme.example")

    done = await run(*options, "--to", page, "--email", mail)

    assert done.exit_code == 0, done.exception
    assert '<html lang="it">' in page.read_text()
    assert f"{api.address}/accounts/acme" in page.read_text()
    assert email.message_from_bytes(mail.read_bytes())["To"] == "nora@acme.example"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["token", "tokens.yaml", "week.eml", "week.html"]


async def test_an_email_alone_can_go_to_a_pipe(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = await run("--api", api.address, "--token-file", api.token, "--email", "-")

    assert email.message_from_bytes(done.stdout_bytes).is_multipart()
    assert not (tmp_path / "report.html").exists()


async def test_the_token_may_be_in_the_environment(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_QUERY_TOKEN", api.token.read_text().strip())

    done = await run("--api", api.address, "--to", tmp_path / "week.html", "--link", "")

    assert done.exit_code == 0, done.exception
    assert "<a " not in (tmp_path / "week.html").read_text()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--at", "yesterday"], "--at yesterday: give a day"),
        (["--at", "20250303"], "--at 20250303: give a day"),
        (["--recipient", "nora@acme.example"], "--sender and --recipient are of an e-mail: give --email FILE"),
        (["--currency", "euro"], "--currency euro: give the code"),
        (["--api", "tidemark.example"], "--api tidemark.example: must begin with http"),
        (["--api", "API"], "asks who you are: give a --token-file"),
        (["--api", "API", "--token-file", "TOKEN", "--owner", "Nobody"], "no account has the owner 'Nobody'"),
        (["--api", "API", "--token-file", "TOKEN", "--at", "2020-01-01"], "no account was known"),
        (["--api", "API", "--token-file", "TOKEN", "--to", "/nowhere/x.html"], "/nowhere/x.html cannot be written"),
        (["--api", "API/nowhere", "--token-file", "TOKEN"], "there is no query API at"),
        (["--api", "NOBODY"], "does not answer"),
    ],
)
async def test_a_problem_is_said_with_what_to_do(api: Api, tmp_path: Path, options: list[str], problem: str) -> None:
    named = {"API": api.address, "TOKEN": str(api.token), "NOBODY": f"http://127.0.0.1:{free_port()}"}
    given = [each.replace("API", api.address) if each.startswith("API") else named.get(each, each) for each in options]

    done = await run("--to", tmp_path / "week.html", *given)

    assert isinstance(done.exception, Fatal)
    assert problem in str(done.exception)
    assert not (tmp_path / "week.html").exists()


async def test_a_recipient_that_is_no_address_is_refused(api: Api) -> None:
    done = await run("--api", api.address, "--token-file", api.token, "--email", "-", "--recipient", "nora")

    assert isinstance(done.exception, Rejected)
    assert done.exception.field == "recipient"


async def test_a_day_that_has_not_come_yet_is_said_beside_the_week_of_now(api: Api, tmp_path: Path) -> None:
    done = await run(
        "--api", api.address, "--token-file", api.token, "--at", "2199-01-01", "--to", tmp_path / "week.html"
    )

    assert done.exit_code == 0, done.exception
    assert "2199-01-01 has not come yet: this is the week up to " in done.stderr
