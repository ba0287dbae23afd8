"""
Rows out of a file as people save it: CSV or lines of JSON, packed with gzip or not.

CSV is what `csv.DictReader` reads, strictly. People are told lines, as an editor shows them: the header is line 1.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO, cast

from services.backfill.text_files import first_undecodable, other_file, other_mark
from services.shared.errors import TidemarkError, WrongArgument

_BREAK = re.compile(r"\r\n|\r|\n")


class BadFile(WrongArgument):
    """A file that cannot be sent as it is; the message names rows and says what to do."""


class ChangedFile(TidemarkError):
    """A file was written to while it was read, and some of it may have been sent."""


class NumberedRow(NamedTuple):
    """A row of a file."""

    line: int
    """On which it begins."""
    number: int
    """Of rows from 1, without the header; of JSON the line. Ids are made of it, so it stays what it is."""
    content: dict[str, Any] | str
    """A sentence where it is malformed."""


def rows(path: Path, wanted: str) -> Iterator[NumberedRow]:
    """
    Yield each row.

    Args:
        path: Of the file.
        wanted: A column that each row needs, by which a table with other marks than commas is told.

    Raises:
        BadFile: it is not UTF-8, its columns are not divided by commas, or two of them have one name.
    """
    try:
        with unpacked(path) as raw, io.TextIOWrapper(cast(BinaryIO, raw), "utf-8-sig", newline="") as text:
            if is_table(path):
                yield from _csv_rows(path, text, wanted)
            else:
                yield from _ndjson_rows(text)
    except UnicodeDecodeError as error:
        raise undecodable(path) from error


def undecodable(path: Path) -> BadFile:
    """Return the error that says what a file is that is not UTF-8, or where it is none, and what to do."""
    with unpacked(path) as raw:
        what = other_file(raw.read(8))
        if what:
            return BadFile(f"{path.name}: {what}")
        raw.seek(0)
        at = first_undecodable(raw)
    where = f"line {at.line} is not UTF-8 (byte {at.byte} of the line)" if at else "it is not UTF-8"
    return BadFile(f"{path.name}: {where}: save it as UTF-8; a spreadsheet calls that CSV UTF-8")


def _csv_rows(path: Path, text: TextIO, wanted: str) -> Iterator[NumberedRow]:
    head = csv.reader(text)
    # Strictly: else a quote that is not closed takes the rest of the file for its cell.
    reader = csv.DictReader(text, _header(path, head, wanted), strict=True)
    before = 0
    try:
        for number, row in enumerate(reader, start=1):
            line = head.line_num + line_of(before, reader.line_num, row)
            before = reader.line_num
            surplus = row.pop(None, None)  # cells without a column
            yield NumberedRow(line, number, row if surplus is None else "it has more cells than the header has columns")
    except csv.Error as error:
        raise _unreadable(path, head.line_num + reader.line_num + 1, error) from error


def line_of(before: int, last: int, row: Mapping[Any, Any]) -> int:
    """
    Return the line on which a row of a table begins.

    Args:
        before: The line on which the row before it ends.
        last: The line on which it ends itself.
        row: Its cells by column; those without one are a list under the key None.
    """
    if last == before + 1:
        return last
    cells = [*row.values(), *(row.get(None) or ())]  # there may be empty lines before it, too
    return last - sum(len(_BREAK.findall(cell)) for cell in cells if isinstance(cell, str))


def _header(path: Path, lines: Iterator[list[str]], wanted: str) -> list[str]:
    try:
        header = next(lines, [])
    except csv.Error as error:
        raise _unreadable(path, 1, error) from error
    mark = other_mark(header, wanted)
    if mark:
        raise BadFile(
            f"{path.name}: columns are divided by {mark!r}, not by commas: save it with commas, and with quotes around "
            "text that has commas"
        )
    if twice := next((name for name, count in Counter(header).items() if name and count > 1), ""):
        raise BadFile(
            f"{path.name}: more than one column is named {twice!r}: keep the right one, or give the others another name"
        )
    return header


def _unreadable(path: Path, line: int, error: csv.Error) -> BadFile:
    return BadFile(f"{path.name}, line {line}: {error}: is a quote opened and not closed?")


def _ndjson_rows(text: TextIO) -> Iterator[NumberedRow]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_finite, parse_float=_finite)
        except OverflowError as error:
            yield NumberedRow(number, number, str(error))
            continue
        except (ValueError, RecursionError):
            yield NumberedRow(number, number, "it is not JSON")
            continue
        yield NumberedRow(number, number, row if isinstance(row, dict) else "it is not a JSON object")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # it would be sent as null
        raise OverflowError(f"{text[:40]} is not a finite number: leave it out, or write null")
    return value


def is_table(path: Path) -> bool:
    """
    Return whether a file is a table, CSV, or else lines of JSON.

    Raises:
        BadFile: its name says neither.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in suffixes:
        return True
    if {".ndjson", ".jsonl", ".json"} & set(suffixes):
        return False
    raise BadFile(f"{path.name}: the name must end in .csv, .ndjson or .jsonl, with .gz where it is packed")


@contextmanager
def unpacked(path: Path) -> Iterator[io.BufferedIOBase]:
    """Yield what a file holds, unpacked where it is packed with gzip."""
    with path.open("rb") as plain:
        if plain.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=plain) as packed:
                yield packed
        else:
            yield plain
