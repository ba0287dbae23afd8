"""Reads folders of records, one YAML file each, whose name is the file's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec


class Named(Protocol):
    """A record that knows its name."""

    @property
    def name(self) -> str:
        """The name, which is the file's too."""
        ...


R = TypeVar("R", bound=Named)


def read_folder(folder: Path, kind: type[R]) -> list[R]:
    """
    Return the records of a folder, in order of name.

    Raises:
        ValueError: a file has a wrong type, a member that is not known, or another name than its record; says which.
    """
    found: list[Any] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            record = msgspec.yaml.decode(path.read_bytes(), type=kind)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path.name}: {error}") from error
        if record.name != path.stem:
            raise ValueError(f"{path.name}: the record's name is {record.name!r}, the file's must be the same")
        found.append(record)
    return found
