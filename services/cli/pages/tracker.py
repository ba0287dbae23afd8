"""
The address and the integrity of the tracker's newest build, where docs/tracker.md gives them.

`python -m services.cli.pages.tracker` writes them, as part of `make tracker`. A test fails if they are out of date.
"""

from __future__ import annotations

import re
from pathlib import Path

from services.ingest.dialects.tracker import NEWEST

PAGE = Path("docs/tracker.md")

_BUILD = re.compile(r'/t/[0-9a-f]{16}\.js" integrity="[^"]+"')


def current(page: str) -> str:
    """Return the text of the page with the newest build in it."""
    return _BUILD.sub(f'/t/{NEWEST.hash}.js" integrity="{NEWEST.integrity}"', page)


if __name__ == "__main__":
    PAGE.write_text(current(PAGE.read_text()))
