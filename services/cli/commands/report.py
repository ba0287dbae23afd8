"""`tidemark report`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.languages import Language
from services.cli.local.stack_state import DataOption, data_folder, find
from services.cli.output_files import require_files, unwritable, write_whole
from services.shared.errors import Fatal, WrongArgument
from services.shared.units import read_date

if TYPE_CHECKING:
    from services.console.report.week import Week

FILE = Path("report.html")
_STDOUT = Path("-")


def register(app: typer.Typer) -> None:
    """Add the command `report`."""
    app.command("report")(report)


def report(  # noqa: PLR0913  typer reads the options from the signature
    *,
    to: Annotated[
        Path | None, typer.Option(help="File for the report as one HTML page; - is standard output.", dir_okay=False)
    ] = None,
    email: Annotated[
        Path | None, typer.Option(help="File for the report as an e-mail (.eml); - is standard output.", dir_okay=False)
    ] = None,
    owner: Annotated[str, typer.Option(help="Only the accounts of this owner.")] = "",
    at: Annotated[
        str | None, typer.Option(help="Last day of the week, such as 2027-03-31 (UTC). By default now.")
    ] = None,
    language: Annotated[Language, typer.Option(envvar="TIDEMARK_CONSOLE_LANGUAGE")] = Language.EN,
    currency: Annotated[
        str | None, typer.Option(help="ISO 4217 code of the currency of revenue.", envvar="TIDEMARK_CONSOLE_CURRENCY")
    ] = None,
    api: Annotated[str | None, typer.Option(help="Address of the query API. By default that of --data.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with a token for --api (`tidemark tokens create`).", exists=True, dir_okay=False),
    ] = None,
    link: Annotated[
        str | None, typer.Option(help="Address of the console, for links; empty: none. By default that of the API.")
    ] = None,
    sender: Annotated[str, typer.Option(help="With --email: whom it is from.")] = "",
    recipient: Annotated[list[str] | None, typer.Option(help="With --email: to whom; may be repeated.")] = None,
    data: DataOption = None,
) -> None:
    """
    Write the week of the portfolio as one HTML file that needs nothing else, or as an e-mail.

    Without --to and --email it writes report.html. `tidemark report --email - --recipient cs@example.com | sendmail -t`
    sends it.
    """
    from services.console.report.contents import Reader
    from services.console.report.mail import message
    from services.console.report.rendering import page
    from services.console.words import catalogue
    from services.console.words.formats import Formats

    _check(at, currency, api, link)
    if email is None and (sender or recipient):
        raise WrongArgument("--sender and --recipient are of an e-mail: give --email FILE, or - for standard output")
    files = {"--to": FILE if to is None and email is None else to, "--email": email}
    require_files({option: None if file == _STDOUT else file for option, file in files.items()})
    address = (api or _local(data)).rstrip("/")
    token = find(data).query_token if token_file is None else _token(token_file)
    week = asyncio.run(_week(address, token, owner, at))
    if at is not None and week.as_of < at:
        print(f"{at} has not come yet: this is the week up to {week.as_of}", file=sys.stderr)
    words = catalogue(language.value)
    reader = Reader(words, Formats(words.locale, currency), (address if link is None else link).rstrip("/"))
    if email is not None:
        _write(email, message(week, reader, sender=sender, recipients=recipient or ()))
    if to is not None or email is None:
        _write(to or FILE, page(week, reader).encode("utf-8", "replace"))


def _check(at: str | None, currency: str | None, api: str | None, link: str | None) -> None:
    if at is not None:
        try:
            read_date(at)
        except ValueError:
            raise WrongArgument(f"--at {at}: give a day such as 2027-03-31") from None
    if currency is not None and not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise WrongArgument(f"--currency {currency}: give the code of a currency such as EUR")
    for option, address in (("--api", api), ("--link", link)):
        if address and not address.startswith(("http://", "https://")):
            raise WrongArgument(f"{option} {address}: must begin with http:// or https://")


def _local(data: Path | None) -> str:
    found = find(data).warehouse
    if found is None:
        raise Fatal(
            f"no Tidemark runs in {data_folder(data)}: start `tidemark dev`, give its --data, or name the query API with"
            " --api, for example --api http://127.0.0.1:8081"
        )
    return found


def _token(file: Path) -> str:
    text = file.read_text("utf-8", "replace").strip()
    if not text.isascii() or not text.isprintable() or not text:
        raise WrongArgument(f"--token-file {file}: must hold one token, as `tidemark tokens create` printed it")
    return text


async def _week(address: str, token: str | None, owner: str, at: str | None) -> Week:
    from services.console.api_client import Apart, Api, ApiError
    from services.console.report.week import read

    upstream = Apart(address)
    async with upstream.client:
        try:
            return await read(Api(upstream, token), owner=owner, at=at)
        except ApiError as error:
            raise Fatal(_said(address, error.status, error.detail, has_token=token is not None)) from error


def _said(address: str, status: int, detail: str, *, has_token: bool) -> str:
    if status in (401, 403):
        what = "another --token-file" if has_token else "a --token-file, or set TIDEMARK_QUERY_TOKEN"
        return f"the API at {address} asks who you are: give {what}; `tidemark tokens create` makes a token"
    if status == 404:
        return f"there is no query API at {address} ({detail}): name the address of the warehouse, without a path"
    return f"the API at {address}: {detail}"


def _write(file: Path, content: bytes) -> None:
    if file == _STDOUT:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        write_whole(file, content)
    except OSError as error:
        raise unwritable(file, error) from error
    print(f"{file}: {len(content) / 1000:,.0f} KB", file=sys.stderr)
