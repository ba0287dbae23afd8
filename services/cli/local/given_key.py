"""Write keys that commands are given: in a file or on standard input, since every user of a machine sees command lines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.shared.credentials import LONGEST
from services.shared.errors import WrongArgument

KeyFileOption = Annotated[
    Path | None,
    typer.Option("--key-file", help="File with a write key and nothing else; - reads standard input.", allow_dash=True),
]
SHORTEST = 22
"""Characters of 128 random bits in base64, the densest way in which people write keys."""


def new_key_of(file: Path | None) -> str | None:
    """
    Return the write key of a file, as `key_of`, that is to be accepted from now on.

    Raises:
        WrongArgument: there is no such file, it does not hold one key, or the key can be guessed.
    """
    key = key_of(file)
    if key is not None and len(key) < SHORTEST:
        raise WrongArgument(
            f"a write key of {len(key)} characters can be guessed: one needs 128 random bits, at least {SHORTEST}"
            " characters; make one with python3 -c 'import secrets; print(secrets.token_urlsafe(24))'"
        )
    return key


def key_of(file: Path | None) -> str | None:
    """
    Return the write key of a file, or of standard input for `-`; None where no file is named.

    Raises:
        WrongArgument: there is no such file, or it does not hold one key.
    """
    if file is None:
        return None
    where = "standard input" if str(file) == "-" else str(file)
    try:
        text = sys.stdin.read(2 * LONGEST) if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArgument(f"the write key cannot be read from {where}: {error}") from error
    key = text.removeprefix("\ufeff").strip()
    if not key or len(key.split()) > 1 or len(key) > LONGEST:
        raise WrongArgument(f"{where} must hold one write key of at most {LONGEST} characters, and nothing else")
    return key
