"""Whether each service could start with the settings that are in force here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from services.cli.commands.services import SERVICES
from services.cli.examining.findings import Finding
from services.cli.local.own_secrets import PSEUDONYM_KEY, existing_pseudonym_key
from services.cli.local.stack_state import StackState
from services.shared.errors import Fatal
from services.shared.process.unknown_settings import no_effect, unknown_settings


def of_folder(folder: Path, state: StackState | None) -> dict[str, str]:
    """Return what `tidemark dev` hands to its services: running here, or once started again."""
    keys = folder / "write-keys.yaml"
    given = {"TIDEMARK_WRITE_KEYS_FILE": state.write_keys_file if state else str(keys) if keys.exists() else ""}
    with suppress(Fatal):
        given[PSEUDONYM_KEY] = existing_pseudonym_key(folder)
    return {name: value for name, value in given.items() if value}


def look(given: dict[str, str]) -> Iterator[Finding]:
    """Say of each service whether it could start with the settings of this shell, and with what else is given."""
    commands = {name: [sys.executable, "-m", f"services.{name}", "--check-config"] for name in SERVICES}
    set_here = {name: value for name, value in os.environ.items() if value}
    environment = {**given, **set_here}
    good = dict.fromkeys(SERVICES, "the settings of this shell are good")
    if taken := sorted(given.keys() - set_here.keys()):
        good["ingest"] += f", with {' and '.join(taken)} of `tidemark dev`"
    with TemporaryDirectory() as folder:
        if not environment.get("KAFKA_BOOTSTRAP_SERVERS"):
            # Nothing is configured here yet. Whatever else is set is looked at all the same.
            missing = {name: value for name, value in _stand_ins(Path(folder)).items() if name not in environment}
            environment |= missing
            if missing:
                good["ingest"] += f", but for {' and '.join(sorted(missing))}: `tidemark dev` makes its own"
                good["ingest"] += ", and a deployment has to be given them (docs/operating.md)"
        processes = {
            name: subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for name, command in commands.items()
        }
        for name, process in processes.items():
            output, _ = process.communicate(timeout=60)
            bad = "the settings of this shell:\n        " + "\n        ".join(output.strip().splitlines()[-12:])
            yield Finding(name, process.returncode == 0, good[name] if process.returncode == 0 else bad)


def misspelt() -> Iterator[Finding]:
    """Name the variables of this shell that are no settings: those that nearly are one as wrong, other TIDEMARK_ ones by the way."""
    for name, meant in unknown_settings(os.environ):
        yield Finding("settings", good=not meant, detail=no_effect(name, meant))


def _stand_ins(folder: Path) -> dict[str, str]:
    """Return something in place of what `tidemark dev` makes at its first start."""
    from services.ingest.settings import IngestSettings
    from services.shared.pseudonyms import KEY_BYTES

    found = {PSEUDONYM_KEY: "00" * KEY_BYTES}
    if not (default := Path(IngestSettings.model_fields["write_keys_file"].default)).exists():
        (folder / default.name).write_text("[]")
        found["TIDEMARK_WRITE_KEYS_FILE"] = str(folder / default.name)
    return found
