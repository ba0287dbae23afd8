"""The demo's tour leads to customers that live through what it says, and opens a browser only where one can be seen."""

import pytest

from services.cli.local.tour import has_desktop, open_browser, tour
from services.console.addresses import account_address
from services.simulator import roster


def test_five_customers_are_shown_whose_pages_exist() -> None:
    stops = tour(7, "http://127.0.0.1:8081")
    accounts = {f"http://127.0.0.1:8081{account_address(each.account)}": each.name for each in roster(7)}

    assert len({stop.address for stop in stops}) == 5
    assert all(accounts[stop.address] == stop.name for stop in stops)
    assert all(stop.look.endswith(".") for stop in stops)


@pytest.mark.parametrize(
    ("environment", "platform", "desktop"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "linux", False),
        ({"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, "darwin", False),
    ],
)
def test_a_desktop_is_known_by_its_environment(environment: dict[str, str], platform: str, *, desktop: bool) -> None:
    assert has_desktop(environment, platform) is desktop


def test_nothing_opens_where_nobody_sits_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")

    assert not open_browser("http://127.0.0.1:8081")
