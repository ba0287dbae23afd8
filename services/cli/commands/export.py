"""`tidemark export`: a view of the warehouse as a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.local.stack_state import DataOption, find
from services.cli.output_files import unwritable
from services.shared.errors import Fatal, Retryable, WrongArgument

if TYPE_CHECKING:
    import httpx

FORMATS = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson"}


def register(app: typer.Typer) -> None:
    """Add the command `export`."""
    app.command("export")(export)


def export(
    view: Annotated[str, typer.Argument(help="Name of the view, as docs/sql.md has it: health_by_day, for example.")],
    to: Annotated[Path, typer.Option("--to", help="File to write; .parquet, .csv or .ndjson.", dir_okay=False)],
    *,
    first: Annotated[str | None, typer.Option("--from", help="First day, as 2026-01-01.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    data: DataOption = None,
) -> None:
    """
    Write a view of the warehouse to a file: Parquet, CSV or NDJSON by its ending.

    The file is there once it is whole. Memory does not grow with the rows, here or in the warehouse.
    """
    format_ = FORMATS.get(to.suffix.lower())
    if format_ is None:
        raise WrongArgument(f"{to}: name a file that ends in {', '.join(FORMATS)}")
    to = to.resolve()  # a link stays one
    if to.exists() and not to.is_file():
        raise WrongArgument(f"{to} is no file: name one")
    if to.exists() and not force:
        raise WrongArgument(f"{to} exists: name another file, or give --force to replace it")
    if not to.parent.is_dir():
        raise WrongArgument(f"{to}: there is no folder {to.parent}")
    running = find(data)
    address = running.warehouse
    if address is None:
        raise Fatal("where is the warehouse? Start `tidemark dev`, or set TIDEMARK_WAREHOUSE_URL")
    days = {name: day for name, day in (("from", first), ("until", until)) if day is not None}
    size = _fetch(address, running.query_token, view, {"format": format_, **days}, to)
    print(f"{to}: {view}, {size:,} bytes")


def _fetch(address: str, token: str | None, view: str, parameters: dict[str, str], to: Path) -> int:
    """Write the answer to a file beside `to`, and rename it once it is whole; return its bytes."""
    from urllib.parse import quote

    import httpx

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    draft = to.with_name(f".{to.name}.{os.getpid()}.part")
    waiting = httpx.Timeout(10.0, read=None)  # the first byte comes when the engine is done
    try:
        with (
            httpx.Client(base_url=address, timeout=waiting, headers=headers) as client,
            client.stream("GET", f"/v1/export/{quote(view, safe='')}", params=parameters) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise _refused(address, answer)
            with draft.open("wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)
        draft.replace(to)
        return to.stat().st_size
    except httpx.HTTPError as error:
        raise Retryable(
            f"the warehouse at {address} does not answer, or stopped amid the export ({error!r}): see `tidemark doctor`, and"
            f" run the same command again; {to} was not written"
        ) from error
    except OSError as error:
        raise unwritable(to, error) from error
    finally:
        draft.unlink(missing_ok=True)


def _refused(address: str, answer: httpx.Response) -> Fatal | Retryable:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:300]
    kind = Retryable if answer.status_code == 503 else Fatal
    return kind(f"the warehouse at {address}: {detail}")
