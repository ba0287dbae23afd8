"""The file that TIDEMARK_ACCOUNTS_FILE names."""

from __future__ import annotations

from pathlib import Path

from services.ingest.domain.accounts import AccountBook, read_accounts
from services.shared.errors import ConfigurationError
from services.shared.plan_file import read_yaml


def load_accounts(path: Path | None) -> AccountBook:
    """
    Return the accounts of a file; none without one.

    Raises:
        ConfigurationError: all that is wrong with it.
    """
    if path is None:
        return AccountBook()
    try:
        return read_accounts(read_yaml(path))
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            [f"TIDEMARK_ACCOUNTS_FILE: {path}: {line}" for line in str(error).splitlines()]
        ) from error
