"""Every id of an account has an address that leads back to it."""

from urllib.parse import parse_qs, unquote, urljoin, urlsplit

import pytest

from services.console.addresses import account_address
from services.console.api_client import in_path


@pytest.mark.parametrize(
    "account", ["acme", "a/b", "a%2Fb", "?x=1#y", "..", ".", "../x", "ü 😀", "a\\b", "x" * 500, "'\"<>&"]
)
def test_an_account_has_an_address_of_its_own(account: str) -> None:
    address = urlsplit(urljoin("http://host/portfolio", account_address(account, tab="people")))

    found = parse_qs(address.query).get("id", [""])[0] or unquote(address.path.removeprefix("/accounts/"))
    assert found == account
    assert parse_qs(address.query)["tab"] == ["people"]
    assert unquote(in_path(account)) == account
    assert "/" not in in_path(account)
