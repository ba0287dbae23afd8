"""
The programs of `tidemark dev` under supervisord: its configuration, and a line to it.

supervisord restarts what ends, with a growing pause (`paced`) for what ends soon, and not what asks to be left. It listens on a unix socket
that only this user may open; no TCP.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, cast
from xmlrpc.client import Fault, ProtocolError, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from services.cli.local import paced, secret_files
from services.shared import exit_status

NOT_AGAIN = (exit_status.WRONG_SETTINGS, exit_status.REFUSED)
_LONGEST_SOCKET_PATH = 85  # the limit is 108, and supervisord adds its process id


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process."""

    name: str
    command: list[str]
    priority: int
    """Lower ones start first and stop last."""
    environment: dict[str, str] = field(default_factory=dict)


def socket_path(data: Path) -> Path:
    """Return the supervisor's socket: in the data folder, or in the temporary one where the path is too long."""
    path = data / "supervisor" / "socket"
    if len(str(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(str(data).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"tidemark-{os.getuid()}-{digest}.sock"


def write_configuration(data: Path, programs: list[Program]) -> Path:
    """Write supervisord's configuration into the data folder and return its path; programs may have secrets in their environment."""
    folder = data / "supervisor"
    folder.mkdir(parents=True, exist_ok=True)
    (data / "logs").mkdir(exist_ok=True)
    text = _HEADER.format(socket=_literal(socket_path(data)), folder=_literal(folder))
    for program in programs:
        text += _PROGRAM.format(
            name=program.name,
            command=" ".join(_quoted(_literal(part)) for part in (*_paced(folder, program.name), *program.command)),
            priority=program.priority,
            # supervisord expands this one twice.
            log=_literal(_literal(data / "logs" / f"{program.name}.log")),
            environment=",".join(f'{name}="{_literal(value)}"' for name, value in program.environment.items()),
        )
    file = _configuration(data)
    file.unlink(missing_ok=True)  # one that is there would keep its mode
    secret_files.replace(file, text)
    return file


def still_runs(data: Path) -> bool:
    """Return whether the supervisor of a folder runs, as it does for seconds after `tidemark dev` was killed; False where /proc is not."""
    try:
        pid = int((data / "supervisor" / "supervisord.pid").read_text())
        return str(_configuration(data)).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return False


def how_it_ended(data: Path, name: str, pid: int) -> str:
    """Return how the run of a program before that of `pid` ended, as supervisord's log tells it; empty where it does not."""
    try:
        text = (data / "supervisor" / "supervisord.log").read_text(errors="replace")
    except OSError:
        return ""
    before, _, _ = text.rpartition(f"spawned: '{name}' with pid {pid}\n")
    found = re.findall(rf"exited: {re.escape(name)} \((?:terminated by )?([^;]+);", before)
    return str(found[-1]) if found else ""


def _configuration(data: Path) -> Path:
    return data / "supervisor" / "supervisord.conf"


def _paced(folder: Path, name: str) -> list[str]:
    starts = folder / f"{name}.starts"
    starts.unlink(missing_ok=True)
    return [sys.executable, "-I", "-S", paced.__file__, str(starts)]


def command(configuration: Path) -> list[str]:
    """Return the command that runs supervisord in the foreground."""
    return [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(configuration)]


class Supervisor:
    """A line to a running supervisord."""

    def __init__(self, socket: Path) -> None:
        self._url = f"unix://{socket}"

    @property
    def _rpc(self) -> Any:
        # A new one each time: after a refused connection the transport stays broken.
        return ServerProxy("http://127.0.0.1", transport=SupervisorTransport(None, None, self._url)).supervisor

    def answers(self) -> bool:
        """Whether it runs and takes requests."""
        try:
            return bool(self._rpc.getState()["statename"] == "RUNNING")
        except (OSError, HTTPException, ProtocolError, Fault):
            return False

    def start(self, name: str) -> None:
        """Start a program; do not wait for it."""
        self._rpc.startProcess(name, False)

    def processes(self) -> list[dict[str, Any]]:
        """Return what supervisord knows of each program: name, statename, pid, start, exitstatus, ..."""
        return cast("list[dict[str, Any]]", self._rpc.getAllProcessInfo())


def _literal(value: object) -> str:
    return str(value).replace("%", "%%")


def _quoted(part: str) -> str:
    return "'" + part.replace("'", "'\"'\"'") + "'"


_HEADER = """\
; Written by `tidemark dev` at each start.
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
nodaemon=true
silent=true
logfile={folder}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={folder}/supervisord.pid
childlogdir={folder}
"""

# exitcodes: a wrong configuration, or topics that do not match; starting again would not help.
# startsecs: every start is a good one, or exitcodes would not be looked at; `paced` keeps restarts apart.
_PROGRAM = """
[program:{name}]
command={command}
priority={priority}
environment={environment}
autostart=false
autorestart=unexpected
exitcodes=2,78
startsecs=0
stopsignal=TERM
stopwaitsecs=25
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""
