"""The last contact with each customer that people have recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.console.api_client import Api


class Contact(NamedTuple):
    """The last contact with an account."""

    at: str
    channel: str
    author: str


async def last_contacts(api: Api) -> Mapping[str, Contact] | None:
    """Return the last contact by account; None where the API does not say it soon."""
    told = await api.get_soon("/v1/contacts")
    if told is None:
        return None
    return {each["account"]: Contact(each["at"], each["channel"], each["author"]) for each in told["contacts"]}
