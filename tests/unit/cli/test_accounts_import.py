"""What `tidemark accounts import` says of what ingest answered."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner, Result

from services.cli.commands import accounts
from services.shared.http.server import serving

FILE = "account,plan\nacme,free\nglobex,gold\n"


async def imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], *options: str, text: str = FILE
) -> Result:
    """Import a file into an ingest that answers so to whatever has calls."""

    async def batch(request: Request) -> Response:
        calls = (await request.json())["batch"]
        accepted = {"accepted": 0, "unattributed": 0, "rejected": 0, "results": []}
        return JSONResponse(accepted | (answer if calls else {}))

    (tmp_path / "accounts.csv").write_text(text)
    app = typer.Typer()
    accounts.register(app)
    async with serving(Starlette(routes=[Route("/v1/batch", batch, methods=["POST"])]), "127.0.0.1", 0) as port:
        monkeypatch.setenv("TIDEMARK_INGEST_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("TIDEMARK_WRITE_KEY", "key")
        arguments = ["accounts", "import", str(tmp_path / "accounts.csv"), "--data", str(tmp_path), *options]
        return await asyncio.to_thread(lambda: CliRunner().invoke(app, arguments))


async def test_an_account_that_breaks_the_plan_of_ingest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of the shell may name another plan than ingest has."""
    warning = {"code": "plan_wrong_value", "field": "traits.plan", "detail": "send one of free, pro"}
    result = {"index": 1, "message_id": "m", "verdict": "accepted", "warnings": [warning]}
    answer = {"accepted": 2, "results": [result], "broke_plan": 1}

    said = await imported(tmp_path, monkeypatch, answer)
    told = json.loads((await imported(tmp_path, monkeypatch, answer, "--json")).stdout)

    assert "1 account breaks the tracking plan of ingest" in said.stdout
    assert "  accepted, but: account 'globex': plan_wrong_value: traits.plan: send one of free, pro" in said.stdout
    assert (told["broke_plan"], len(told["warnings"]), told["problems"]) == (1, 1, [])


async def test_each_account_that_ingest_rejects_is_counted_though_only_the_first_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "account,plan\n" + "".join(f"a{number},free\n" for number in range(130))
    results = [{"index": each, "verdict": "rejected", "code": "plan_wrong_type"} for each in range(130)]

    said = await imported(tmp_path, monkeypatch, {"rejected": 130, "results": results}, text=rows)

    assert said.exit_code == 1
    assert "  account 'a0': plan_wrong_type\n" in said.stdout
    assert "  30 more accounts were rejected: `tidemark rejected list` shows them\n" in said.stdout
