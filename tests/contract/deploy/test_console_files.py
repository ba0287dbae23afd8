"""What the console ships beside its own files is what the locked package holds, with its licence."""

from pathlib import Path

import pytest

from tests.support.clients import node_package

VENDOR = Path(__file__).parents[3] / "services/console/static/vendor"


@pytest.mark.parametrize(
    ("file", "packed"),
    [("htmx.min.js", "dist/htmx.min.js"), ("hx-csp.min.js", "dist/ext/hx-csp.min.js"), ("htmx.LICENSE", "LICENSE")],
)
def test_htmx_is_the_locked_package_byte_for_byte(file: str, packed: str) -> None:
    assert (VENDOR / file).read_bytes() == (node_package("htmx.org") / packed).read_bytes()


def test_nothing_else_is_shipped_from_elsewhere() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {"htmx.min.js", "hx-csp.min.js", "htmx.LICENSE"}
