"""A file with a list of entries under names of their own, such as write keys: one look shows all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from services.shared.errors import ConfigurationError
from services.shared.files.watched_file import open_to_others
from services.shared.files.yaml_file import parse_yaml

E = TypeVar("E")


class Hashes(NamedTuple):
    """What a file has that holds the hashes of credentials, and never one of these."""

    field: str
    """Of the hash; the entries go by it."""
    never: str
    """The field that would be the credential itself."""
    right: str
    """What the credential gives."""
    command: str
    """Makes credential and file."""


def read_entries(
    path: Path,
    variable: str,
    thing: str,
    read: Callable[[Any, str, list[str]], tuple[str, E]],
    hashes: Hashes | None = None,
) -> dict[str, E]:
    """
    Return the entries of a file by their names.

    Args:
        path: The file.
        variable: The setting that names it.
        thing: What an entry is.
        read: Takes an entry, where it stands, and the problems to add to; returns its name, if any, and what is right.
        hashes: If the file holds hashes. Any other holds secrets.

    Raises:
        ConfigurationError: with everything that is wrong with it.
    """
    where = f"{variable}: {path}"
    as_made = f", as `{hashes.command}` does" if hashes else ""
    try:
        if problem := open_to_others(path, secret=hashes is None, right=hashes.right if hashes else "send"):
            raise ConfigurationError([f"{where}: {problem}"])
        text = path.read_text("utf-8-sig")
        if hashes and re.search(rf"^[\s-]*(?:\{{\s*)?{hashes.never}\s*:", text, re.MULTILINE):
            raise ConfigurationError([f"{where}: holds a {hashes.never}; store its {hashes.field} instead{as_made}"])
        entries = parse_yaml(text) or []
    except OSError as error:
        if hashes and isinstance(error, FileNotFoundError):
            raise ConfigurationError([f"{where} is not there; `{hashes.command} --file {path}` makes it"]) from error
        raise ConfigurationError([f"{where} cannot be read ({error.strerror})"]) from error
    except ValueError as error:
        raise ConfigurationError([f"{where}: {error}"]) from error
    if not isinstance(entries, list):
        raise ConfigurationError([f"{where}: is no list; write an entry for each {thing}{as_made}"])
    problems: list[str] = []
    found: dict[str, E] = {}
    for number, given in enumerate(entries, 1):
        place = f"{where}: entry {number}"
        name, entry = read(given, place, problems)
        if name in found:
            problems.append(f"{place}: {f'this {hashes.field}' if hashes else name} is there twice")
        if name:
            found[name] = entry
    if problems:
        raise ConfigurationError(problems)
    return found
