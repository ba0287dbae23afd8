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


async def last_contacts(api: Api) -> Mapping[str, Contact]:
    """Return the last contact by account; none at all where the API does not say it soon."""
    told = await api.get_soon("/v1/contacts")
    rows = told["contacts"] if told else []
    return {each["account"]: Contact(each["at"], each["channel"], each["author"]) for each in rows}
