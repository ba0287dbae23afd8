"""
Where the programs of this machine are that tests drive: Node's packages, Chromium, Go, curl, systemd's check of units.

A test whose client is missing is skipped, and the reason is the command that installs it. With
TIDEMARK_REQUIRE_CLIENTS=1, as in CI, it fails instead.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

NODE_FOLDER = Path(__file__).parents[1] / "node"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_WITHOUT_WINDOWS = "chromium-headless-shell"
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def node() -> str:
    """Return the path of Node; skip the test where there is none."""
    found = shutil.which("node")
    return found or _missing("Node", "apt-get install nodejs npm (macOS: brew install node)")


def node_package(name: str) -> Path:
    """Return the folder of an installed package of tests/node; skip the test where it is not installed."""
    node()
    folder = NODE_FOLDER / "node_modules" / name
    return folder if folder.is_dir() else _missing(f"the Node package {name}", "npm --prefix tests/node ci")


def chromium() -> str:
    """Return the path of a Chromium; skip the test where there is none. TIDEMARK_CHROMIUM names another one."""
    names = (os.environ["TIDEMARK_CHROMIUM"],) if "TIDEMARK_CHROMIUM" in os.environ else _BROWSERS
    found = next(filter(None, map(shutil.which, names)), None)
    return found or _missing("Chromium", "apt-get install --no-install-recommends chromium")


def chromium_without_windows() -> str:
    """
    Return the path of a Chromium that shows nothing, which takes a fifth of the CPU; where there is none, that of any.

    Its pages are always seen and have the focus, and it keeps none to go back to.
    """
    found = None if "TIDEMARK_CHROMIUM" in os.environ else shutil.which(_WITHOUT_WINDOWS)
    return found or chromium()


def go() -> str:
    """Return the path of Go; skip the test where there is none."""
    found = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    return found or _missing("Go", "apt-get install --no-install-recommends golang-go (macOS: brew install go)")


def curl() -> str:
    """Return the path of curl; skip the test where there is none."""
    return shutil.which("curl") or _missing("curl", "apt-get install curl")


def systemd_analyze() -> str:
    """Return the path of the program that checks units; skip the test where there is none."""
    return shutil.which("systemd-analyze") or _missing("systemd", "apt-get install --no-install-recommends systemd")


def _missing(what: str, command: str) -> NoReturn:
    reason = f"{what} is not installed: {command}"
    if os.environ.get("TIDEMARK_REQUIRE_CLIENTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
