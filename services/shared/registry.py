"""
Schema ids from the registry that SCHEMA_REGISTRY_URL names, for every process that reads or writes records.

Not set, ids are those of schemas/lock.json and nothing is connected to.
"""

from __future__ import annotations

from pydantic import Field

from services.shared.errors import Fatal
from services.shared.http.addresses import SecretAddress
from services.shared.settings import Settings


class RegistrySettings(Settings):
    """Where the schema registry is, if there is one."""

    url: SecretAddress | None = Field(None, validation_alias="SCHEMA_REGISTRY_URL")
    """http(s)://user:password@host:port of a schema registry; without it the ids of schemas/lock.json are used."""


def use_registry(settings: RegistrySettings) -> None:
    """
    Take the ids of the registry, where one is set, from here on. Blocks until it has answered.

    Raises:
        Fatal: the registry refuses a schema or does not answer.
    """
    if settings.url is not None:
        from schemas.registry import RegistryError, connect_registry  # with an HTTP client: a tenth of a start's time

        try:
            connect_registry(settings.url.get_secret_value())
        except RegistryError as error:
            raise Fatal(str(error)) from error
