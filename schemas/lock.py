"""
Give a new schema file its id: `python -m schemas.lock` adds what `lock.json` does not list yet.

A file in the lock is released: it never changes again, because records written with it stay on the topics.
The command refuses when one did. `--rewrite` takes the changed bytes over, for a file that no deployment has
ever written with.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parent


def changed(root: Path = ROOT) -> list[str]:
    """Return the locked files whose bytes are no longer what was released, or that are gone."""
    lock = json.loads((root / "lock.json").read_text("utf-8"))
    return [path for path, entry in lock.items() if _sha256(root / path) != entry["sha256"]]


def missing(root: Path = ROOT) -> list[str]:
    """Return the schema files that have no id yet, in a fixed order."""
    lock = json.loads((root / "lock.json").read_text("utf-8"))
    present = sorted(str(path.relative_to(root)) for path in root.glob("*/v*.avsc"))
    return [path for path in present if path not in lock]


def main(argv: list[str] | None = None) -> int:
    """Bring the lock up to date; return 1, and change nothing, where a released file was changed."""
    rewrite = "--rewrite" in (sys.argv[1:] if argv is None else argv)
    broken = changed()
    if broken and not rewrite:
        print(f"released and must not change: {', '.join(broken)}; add a new version instead", file=sys.stderr)
        return 1
    lock = json.loads((ROOT / "lock.json").read_text("utf-8"))
    for path in broken:
        lock[path]["sha256"] = _sha256(ROOT / path)
    for path in missing():
        lock[path] = {"id": 1 + max(entry["id"] for entry in lock.values()), "sha256": _sha256(ROOT / path)}
    (ROOT / "lock.json").write_text(json.dumps(lock, indent=2) + "\n", "utf-8")
    return 0


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
