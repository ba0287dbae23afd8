"""Free ports of this machine, none of them given out twice at once."""

from __future__ import annotations

import os
import random
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from services.shared.errors import Fatal

_PORTS = range(15_000, 32_000)
_ATTEMPTS = 500
_GIVEN_FOR_S = 60.0
"""So long a port is passed over by everybody else: who asked for it may take seconds to listen on it."""


def is_free(port: int) -> bool:
    """Return whether a loopback TCP port can be listened on."""
    with socket.socket() as probe:
        # As servers do: connections of a former one that linger are no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(count: int = 1) -> int:
    """
    Return a loopback TCP port that is free now, the first of `count` in a row.

    It is below the range from which systems take the ports of outgoing connections: there, a client that keeps
    trying a server which is being restarted may be connected to itself, and then it is the client that has the port.

    Raises:
        Fatal: there is none.
    """
    given = Path(tempfile.gettempdir()) / f"tidemark-ports-{os.getuid()}"
    with suppress(OSError):
        given.mkdir(mode=0o700, exist_ok=True)
        _forget_old(given)
    # The system's random numbers: processes that were seeded alike would choose alike.
    firsts = _PORTS[: len(_PORTS) - count + 1]
    for first in random.SystemRandom().sample(firsts, min(_ATTEMPTS, len(firsts))):
        if all(is_free(port) and _give(given, port) for port in range(first, first + count)):
            return first
    raise Fatal(f"no free port between {_PORTS.start} and {_PORTS.stop}")


def _forget_old(given: Path) -> None:
    for file in given.iterdir():
        if time.time() - file.stat().st_mtime >= _GIVEN_FOR_S:
            file.unlink(missing_ok=True)


def _give(given: Path, port: int) -> bool:
    """Return whether nobody was given the port of late."""
    try:
        (given / str(port)).touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        return False
    except OSError:
        pass  # nothing can be noted here, so only chance keeps two apart
    return True
