"""Settings of the console."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from services.shared.http.addresses import host_of
from services.shared.settings import Settings

Language = Literal["en", "pt", "it"]


class ConsoleSettings(Settings):
    """What the console shows, and to whom."""

    api: str | None = Field(None, validation_alias="TIDEMARK_CONSOLE_API")
    """Address of the query API, for a console that runs apart: `https://tidemark.example`."""
    api_token: SecretStr | None = Field(None, validation_alias="TIDEMARK_CONSOLE_API_TOKEN")
    """Token with which the console reads the API for people whom a trusted proxy has signed in."""
    user_header: str | None = Field(None, validation_alias="TIDEMARK_CONSOLE_USER_HEADER")
    """Header in which a trusted proxy names the signed-in person, for example `X-Forwarded-User`."""
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), validation_alias="TIDEMARK_CONSOLE_TRUSTED_PROXIES"
    )
    """Addresses of these proxies, separated by commas, as addresses or networks: `10.0.0.0/8`."""
    language: Language | None = Field(None, validation_alias="TIDEMARK_CONSOLE_LANGUAGE")
    """Language for readers who have not chosen one: `en`, `pt` or `it`. By default the browser's."""
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", validation_alias="TIDEMARK_CONSOLE_CURRENCY")
    """ISO 4217 code of the currency of revenue. Without it, revenue is shown as plain numbers."""

    ingest: str | None = Field(None, validation_alias="TIDEMARK_CONSOLE_INGEST")
    """Address of ingest as browsers reach it, for the link to its live tail and for calls to copy; the console records there."""
    write_key: SecretStr | None = Field(None, validation_alias="TIDEMARK_CONSOLE_WRITE_KEY")
    """Write key (`client: server`) with which the console records contacts, notes and the like. Without it, nothing can be recorded."""
    history: str = Field("log", validation_alias="TIDEMARK_CONSOLE_HISTORY")
    """History that "Was it right?" tests on: `log`, `warehouse`, the path of a file of events, or `off`."""

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        return tuple(ip_network(each.strip()) for each in given.split(",") if each.strip())

    @field_validator("api", "ingest")
    @classmethod
    def _address(cls, given: str | None) -> str | None:
        if given is not None and not given.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if given is not None and not host_of(given):
            raise ValueError("must name a host, as in https://tidemark.example")
        return given.rstrip("/") if given else given

    @model_validator(mode="after")
    def _whom_to_trust(self) -> ConsoleSettings:
        if self.user_header and not self.trusted_proxies:
            raise ValueError(
                "TIDEMARK_CONSOLE_USER_HEADER needs TIDEMARK_CONSOLE_TRUSTED_PROXIES: anyone could send the header otherwise"
            )
        return self
