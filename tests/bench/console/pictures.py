"""
Take the pictures of the README: `python -m tests.bench.console.pictures`, or `make screenshots`.

Data and clocks stand still: the simulated past ends at a moment of its own, and browser and query API believe that it is that
moment. So a picture changes when the console does. Fonts are those of this machine. With `--address` they are taken from a
running demo instead.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageChops
from playwright.async_api import Browser, async_playwright
from prometheus_client import CollectorRegistry

from services.console.addresses import account_address
from services.console.api_client import InProcess
from services.console.app import console_app
from services.console.settings import ConsoleSettings
from services.shared.http.server import serving
from services.shared.settings import load
from services.simulator import Storyline, roster
from services.warehouse.http.app import query_app
from services.warehouse.http.front import api_or
from services.warehouse.memory.store import MemoryStore
from services.warehouse.metrics import WarehouseMetrics
from tests.bench.console.__main__ import fill, past
from tests.support.clients import CHROMIUM_OPTIONS, chromium

UNTIL = datetime(2026, 11, 19, 14, 0, tzinfo=UTC)
FOLDER = Path("docs/pictures")
MOST_BYTES = 150_000
WIDTH, HEIGHT = 1280, 800
_SEED = 7
_COLOURS = (None, 256, 128, 64)
"""None: all that there are."""


class Picture(NamedTuple):
    """One picture: its file, the page that it shows, and in which theme."""

    name: str
    address: str
    theme: str = "light"
    height: int = HEIGHT


def pictures() -> list[Picture]:
    """Return the pictures of the README."""
    customers = {(each.storyline, each.shift): each.account for each in roster(_SEED)}
    return [
        Picture("today", "/"),
        Picture("portfolio", "/portfolio"),
        Picture("portfolio-dark", "/portfolio", "dark"),
        Picture("account", account_address(customers[Storyline.SLOW_DECAY, 0]), height=1100),
    ]


_SETTINGS = load(
    ConsoleSettings, currency="EUR", ingest="http://127.0.0.1:8080", write_key="for-pictures-alone-nothing-is-sent"
)
"""As of an installation in which people record what they know; no picture sends anything."""


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """Serve the console on the past that stands still, and give its address."""
    store = MemoryStore()
    fill(store, await asyncio.to_thread(past, UNTIL))
    metrics = WarehouseMetrics(CollectorRegistry())
    api = query_app(lambda: store, metrics, clock=UNTIL.timestamp)
    console = console_app(InProcess(api), _SETTINGS, is_open=True, clock=UNTIL.timestamp)
    async with serving(api_or(api, console), "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


async def take(browser: Browser, address: str, picture: Picture, *, still: bool) -> bytes:
    """
    Return a picture as PNG, of few colours.

    Raises:
        RuntimeError: the page cannot be shown, or does not fit into the bytes that a picture may have.
    """
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": picture.height},
        color_scheme="dark" if picture.theme == "dark" else "light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = await context.new_page()
    if still:
        await page.clock.set_fixed_time(UNTIL)
    answer = await page.goto(f"{address}{picture.address}", wait_until="load", timeout=120_000)
    if answer is None or not answer.ok:
        raise RuntimeError(f"{picture.address} answers {answer and answer.status}")
    taken = await page.screenshot(animations="disabled", caret="hide")
    await context.close()
    return small(taken)


def small(taken: bytes) -> bytes:
    """
    Return a PNG of as many colours as fit into MOST_BYTES.

    Raises:
        RuntimeError: none do.
    """
    image = Image.open(io.BytesIO(taken)).convert("RGB")
    for colours in _COLOURS:
        made = io.BytesIO()
        palette = image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE) if colours else image
        palette.save(made, "PNG", optimize=True)
        if made.tell() <= MOST_BYTES:
            return made.getvalue()
    raise RuntimeError(f"a picture has more than {MOST_BYTES:,} bytes with {_COLOURS[-1]} colours")


def keep(file: Path, taken: bytes) -> bool:
    """Write a picture, and return whether it differs from the one that was there."""
    if file.exists():
        old, new = (Image.open(source).convert("RGB") for source in (file, io.BytesIO(taken)))
        if old.size == new.size and ImageChops.difference(old, new).getbbox() is None:
            return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(taken)
    return True


async def take_all(folder: Path, address: str | None) -> None:
    """Take all pictures into a folder, from a console at an address or from one of our own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_OPTIONS))
        if address is not None:
            await _take_from(browser, address.rstrip("/"), folder, still=False)
        else:
            async with served() as own:
                await _take_from(browser, own, folder, still=True)
        await browser.close()


async def _take_from(browser: Browser, address: str, folder: Path, *, still: bool) -> None:
    for picture in pictures():
        taken = await take(browser, address, picture, still=still)
        file = folder / f"{picture.name}.png"
        changed = "written" if keep(file, taken) else "unchanged"
        print(f"{file}: {len(taken) / 1000:.0f} KB, {changed}")


def main() -> int:
    """Take the pictures; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=FOLDER)
    parser.add_argument("--address", help="A running console, for example http://127.0.0.1:8081.")
    given = parser.parse_args()
    try:
        asyncio.run(take_all(given.to, given.address))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
