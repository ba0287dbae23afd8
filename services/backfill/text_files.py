"""What goes wrong where people save tables as text: another encoding than UTF-8, another mark than a comma between columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

OTHER_MARKS = (";", "\t", "|")
_OTHER_FILES = {
    b"PK\x03\x04": "it is a workbook or a ZIP archive: save the table as CSV UTF-8, or unpack it",
    b"\x28\xb5\x2f\xfd": "it is packed with zstd: unpack it, or pack it with gzip",
    b"BZh": "it is packed with bzip2: unpack it, or pack it with gzip",
    b"\xfd7zXZ": "it is packed with xz: unpack it, or pack it with gzip",
    b"\xff\xfe": "it is UTF-16: save it as UTF-8",
    b"\xfe\xff": "it is UTF-16: save it as UTF-8",
}
"""What files begin with that are no text in UTF-8, and what to do with them."""


class Undecodable(NamedTuple):
    """The first place in a file that is not UTF-8, both counted from 1."""

    line: int
    byte: int
    """In the line."""


def first_undecodable(lines: Iterable[bytes]) -> Undecodable | None:
    """Return the first place where a file is not UTF-8, None if it is. A decoder that reads ahead cannot tell the place."""
    for number, line in enumerate(lines, start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return Undecodable(number, error.start + 1)
    return None


def other_file(beginning: bytes) -> str:
    """Return what a file is that begins so, and what to do with it; empty: nothing is known of it."""
    return next((what for mark, what in _OTHER_FILES.items() if beginning.startswith(mark)), "")


def other_mark(header: Sequence[str], wanted: str) -> str:
    """
    Return the mark that divides the columns instead of commas; empty: there seems to be none.

    Args:
        header: The cells of the first line, as divided by commas.
        wanted: A column that has to be there.
    """
    if wanted in header:
        return ""
    line = ",".join(header)
    for mark in OTHER_MARKS:
        names = [name.strip(' "') for name in line.split(mark)]
        if wanted in names or (len(header) == 1 and len(names) > 1):
            return mark
    return ""
