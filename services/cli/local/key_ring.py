"""
The write keys of the stack on this machine, in the clear: `tidemark dev` shows them, and its tools send with them.

The file of write keys has only their hashes. The ring lies in the data folder, readable by its owner alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from services.cli.local import secret_files, write_keys


def key_ring_file(data: Path) -> Path:
    """Return where the ring of a data folder is."""
    return data / "write-keys.ring.json"


class KeyRing:
    """Makes a key for a source once, and gives it again."""

    def __init__(self, file: Path, write_keys_file: Path) -> None:
        self._file = file
        self._write_keys_file = write_keys_file

    def key(self, source: str, *, backfill: bool = False, environment: str = "production") -> str:
        """
        Return the key of a source and environment, which ingest takes; make it if there is none.

        Raises:
            Fatal: the source has a name that records cannot carry.
        """
        known = self._read()
        name = f"{source}/backfill" if backfill else source
        if environment != "production":
            name += f"/{environment}"
        key = known.get(name)
        if key is None or not write_keys.holds(self._write_keys_file, key):
            key = write_keys.add(self._write_keys_file, source, environment, client="server", backfill=backfill)
            with secret_files.held(self._file):  # another run may have put a key of another source there meanwhile
                secret_files.replace(self._file, json.dumps({**self._read(), name: key}, indent=2))
        return key

    def _read(self) -> dict[str, str]:
        return json.loads(self._file.read_text()) if self._file.exists() else {}
