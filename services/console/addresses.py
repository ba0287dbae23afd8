"""Addresses of the console's pages."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def account_address(account: str, **parameters: str) -> str:
    """Return the address of an account's page. Browsers take the ids `.` and `..` for folders, so these are parameters."""
    if account in {".", "..", ""}:
        parameters = {"id": account, **parameters}
        return f"/accounts?{urlencode(parameters)}"
    query = f"?{urlencode(parameters)}" if parameters else ""
    return f"/accounts/{quote(account, safe='')}{query}"
