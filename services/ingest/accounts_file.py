"""The file of aliases and domains, which TIDEMARK_ACCOUNTS_FILE names, or a command line."""

from __future__ import annotations

from pathlib import Path

from services.ingest.domain.accounts import AccountBook, read_accounts
from services.shared.errors import ConfigurationError
from services.shared.files.yaml_file import read_yaml

VARIABLE = "TIDEMARK_ACCOUNTS_FILE"


def load_accounts(path: Path | None, named_by: str = VARIABLE) -> AccountBook:
    """
    Return the accounts of a file; none without one. `named_by` is the variable that names it, empty: a command line does.

    Raises:
        ConfigurationError: all that is wrong with it.
    """
    if path is None:
        return AccountBook()
    try:
        return read_accounts(read_yaml(path))
    except (ValueError, OSError) as error:
        where = f"{named_by}: {path}" if named_by else f"{path}"
        raise ConfigurationError([f"{where}: {line}" for line in str(error).splitlines()]) from error
