"""
Text from events, files and services, as it goes to a terminal.

Names come from whoever sends events. Characters that a terminal would act on, or by which text would read as other text, are
shown, not sent to it; a line break within a name begins no line of its own.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import msgspec

_JOINERS = "\u200c\u200d"
"""Within words of some scripts, and within emoji: they change nothing but the shape of their neighbours."""
_ACTED_ON = re.compile(r"[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON leaves as it is, and terminals may not: control characters of eight bits, and changes of direction."""


_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def open_streams() -> None:
    """
    Let whatever is printed go where it belongs, however this process was started.

    Without standard error (`2>&-`), print would write to standard output what is meant for it. Characters for which the
    terminal has no code, and names of files that are no text, are escaped; else they would end the command.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  to the end of the process
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Return text in which nothing but line breaks, spaces and visible characters is left; the others are escaped as in YAML."""
    return text if text.isprintable() else "".join(each if _is_shown(each) else _escaped(each) for each in text)


def on_one_line(text: str) -> str:
    """Return printable text without line breaks."""
    return printable(" ".join(text.splitlines()) if "\n" in text or "\r" in text else text)


def tell(text: str, file: TextIO | None = None) -> None:
    """Print text that may have come from outside."""
    print(printable(text), file=file)


def tell_lines(lines: Iterable[str], file: TextIO | None = None) -> None:
    """Print lines, each of which stays one."""
    for line in lines:
        print(on_one_line(line), file=file)


def tell_json(value: Any) -> None:
    """Print a value as JSON on one line, at once; what a terminal would act on is escaped, so that it reads as the same value."""
    text = msgspec.json.encode(value).decode()
    text = _ACTED_ON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = _NOT_ASCII.sub(lambda found: json.dumps(found.group())[1:-1], text)
    print(text, flush=True)


def _is_shown(character: str) -> bool:
    return character.isprintable() or character == "\n" or character in _JOINERS or _is_space(character)


def _is_space(character: str) -> bool:
    """Return whether it is a space of some width, such as numbers have between their thousands."""
    return character.isspace() and character not in "\t\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
