"""
Typed configuration from environment variables, checked once at start, with all its errors at once.

Every setting names its variable by `validation_alias`, so that the name that people set is the name in the
code, in the error and in the documents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.shared.errors import ConfigurationError

S = TypeVar("S", bound="Settings")

_ADVICE = {
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "float_parsing": "give a number",
    "finite_number": "give a number that is finite",
    "bool_parsing": "give true or false",
    "literal_error": "give {expected}",
    "enum": "give {expected}",
    "greater_than": "give more than {gt}",
    "greater_than_equal": "give {ge} or more",
    "less_than": "give less than {lt}",
    "less_than_equal": "give {le} or less",
    "string_pattern_mismatch": "give text of the form {pattern}",
}
"""What to do about the problems that pydantic finds, in place of its own words; of others its words are shown."""


class Settings(BaseSettings):
    """
    The base of all settings.

    Fields are given by name in code and by their variable in the environment; an empty variable counts as
    not set.
    """

    model_config = SettingsConfigDict(
        populate_by_name=True, frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True
    )


class ProcessSettings(Settings):
    """What every service process has: an address for its HTTP endpoints and a folder for its files."""

    http_host: str = Field("127.0.0.1", validation_alias="TIDEMARK_HTTP_HOST")
    """Address to listen on; 0.0.0.0 for all."""
    http_port: int = Field(8080, ge=0, le=65535, validation_alias="TIDEMARK_HTTP_PORT")
    """By default the port of the service (`services.shared.ports`), plus ten for each slot."""
    data_dir: Path = Field(Path(".data"), validation_alias="TIDEMARK_DATA_DIR")
    """Files of the process: the embedded ClickHouse of the warehouse, for the others only what can be recreated."""
    slot: int = Field(0, ge=0, le=1_000, validation_alias="TIDEMARK_SLOT")
    """Number of this process among those of its service on one machine; part of its static group membership."""
    liveness_s: float = Field(120.0, ge=10, le=86_400, validation_alias="TIDEMARK_LIVENESS_S")
    """If no Kafka broker was reached for this long, /healthz answers 503, so that the process is replaced."""


def load(kind: type[S], **given: Any) -> S:
    """
    Build settings of one kind from the environment, with the values `given` in their place.

    Raises:
        ConfigurationError: with every problem of this kind, each naming its variable.
    """
    try:
        return kind(**given)
    except ValidationError as error:
        raise ConfigurationError(_in_words(kind, error)) from error


def load_all(*kinds: type[Settings]) -> tuple[list[Settings | None], list[str]]:
    """
    Build settings of several kinds, reading on after a wrong one; return them with the problems of all, each named once.

    In place of what is wrong stands its default, so that the rest can be looked at; None where that makes none either.
    """
    loaded: list[Settings | None] = []
    problems: list[str] = []
    for kind in kinds:
        try:
            loaded.append(kind())
        except ValidationError as error:
            problems += _in_words(kind, error)
            settings, more = _without(kind, error)
            loaded.append(settings)
            problems += more
    return loaded, list(dict.fromkeys(problems))


def _without(kind: type[Settings], error: ValidationError) -> tuple[Settings | None, list[str]]:
    """Build settings with defaults in place of what is wrong; return them, and which of the others contradict each other."""
    fields = {str(field.validation_alias): field for field in kind.model_fields.values()}
    fields |= kind.model_fields  # what is not set and has no usable default is told by its name
    wrong = [str(found["loc"][0]) if found["loc"] else "" for found in error.errors()]
    if not all(name in fields for name in wrong):
        return None, []
    try:
        return kind(**{name: (fields[name].examples or [fields[name].default])[0] for name in wrong}), []
    except ValidationError as another:
        return None, _in_words(kind, another)


def _in_words(kind: type[Settings], error: ValidationError) -> list[str]:
    variables = {
        name: field.validation_alias if isinstance(field.validation_alias, str) else name
        for name, field in kind.model_fields.items()
    }
    problems = []
    for found in error.errors():
        first = str(found["loc"][0]) if found["loc"] else ""
        variable = variables.get(first, first)
        advice = _ADVICE.get(found["type"])
        message = advice.format_map(found.get("ctx", {})) if advice else found["msg"].removeprefix("Value error, ")
        # The value may be a secret: it is shown for none, since names alone do not tell which ones are.
        problems += [f"{variable}: {message}"] if variable else message.splitlines()
    return problems
