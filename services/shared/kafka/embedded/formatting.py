"""
The folder of a new broker: Kafka's `StorageTool` prepares it.

The tool is a Java process of more than a second of CPU. What it writes is the same for every broker of the same jars, but
for the ids in `meta.properties`: so it runs once for them, and later folders get a copy of the file that it wrote.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.shared.errors import Fatal
from services.shared.kafka.embedded.broker_config import Node, new_id
from services.shared.kafka.embedded.jars import cache_folder
from services.shared.kafka.embedded.java import command, hint

_WITHIN_S = 120.0
_HEAP_MB = 256
_BOOTSTRAP = "bootstrap.checkpoint"
"""With which features of Kafka a cluster begins, as a file of records."""


def is_formatted(log: Path) -> bool:
    """Return whether a folder for logs is prepared."""
    return (log / "meta.properties").exists()


def format_folder(jars: Sequence[Path], config: Path, log: Path, node: Node, cluster: str) -> None:
    """
    Prepare the folder for the logs of a node.

    Raises:
        Fatal: the tool refuses; the text has what it said.
    """
    kept = kept_file(jars)
    if not kept.exists():
        _run_the_tool(jars, config, log, cluster)
        _keep(log / _BOOTSTRAP, kept)
        return
    log.mkdir(parents=True, exist_ok=True)
    (log / _BOOTSTRAP).write_bytes(kept.read_bytes())
    ids = {"version": 1, "cluster.id": cluster, "node.id": node.id, "directory.id": new_id()}
    draft = log / "meta.properties.tmp"
    draft.write_text("".join(f"{name}={value}\n" for name, value in ids.items()))
    draft.replace(log / "meta.properties")  # the last of the two: it says that the folder is prepared


def kept_file(jars: Sequence[Path]) -> Path:
    """Return where what the tool of these jars wrote is kept."""
    names = "\n".join(sorted(jar.name for jar in jars))
    return cache_folder() / f"bootstrap-{hashlib.sha256(names.encode()).hexdigest()[:16]}.checkpoint"


def _run_the_tool(jars: Sequence[Path], config: Path, log: Path, cluster: str) -> None:
    done = subprocess.run(
        [*command(jars, log.parent / "format.log", _HEAP_MB), "kafka.tools.StorageTool",
         "format", "--config", str(config), "--cluster-id", cluster],
        capture_output=True, text=True, timeout=_WITHIN_S, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        raise Fatal(f"the broker's folder {log} could not be prepared{hint(said)}: {said}")


def _keep(written: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(f".{os.getpid()}")
    with draft.open("wb") as out:
        out.write(written.read_bytes())
        out.flush()
        os.fsync(out.fileno())  # else a loss of power may leave a whole name on blocks that are empty
    draft.replace(kept)
