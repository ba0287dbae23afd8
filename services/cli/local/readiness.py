"""Which services do their work, asked of themselves."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import httpx

from services.cli.local.stack_state import StackState
from services.cli.local.supervision import Supervisor
from services.shared.kafka.embedded.free_ports import is_free
from services.shared.ports import PORTS

NO_ANSWER = "it does not answer"
NO_SUPERVISOR = "the supervisor does not answer"


def variable(name: str) -> str:
    """Return the variable that says where a service is."""
    return f"TIDEMARK_{name.upper()}_URL"


def addresses() -> dict[str, str]:
    """Return where services are that nobody here has started: as the environment says, or at their default ports."""
    return {
        name: (os.environ.get(variable(name)) or f"http://127.0.0.1:{port}").rstrip("/") for name, port in PORTS.items()
    }


def ask_all(services: Mapping[str, str]) -> dict[str, str | None]:
    """Ask services by name and address, all at once; return for each why it is not ready, None where it is."""
    return dict(zip(services, _at_once(services.values()), strict=True))


def _at_once(services: Iterable[str], pids: Iterable[int | None] | None = None) -> list[str | None]:
    services = list(services)
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:  # one that is frozen costs the whole timeout
        return list(pool.map(readiness, services, pids if pids is not None else [None] * len(services)))


def readiness_of_all(state: StackState, supervisor: Supervisor) -> dict[str, str]:
    """Return the services of a stack that are not ready, each with the reason."""
    if not supervisor.answers():
        return dict.fromkeys(state.addresses, NO_SUPERVISOR)
    processes = {process["name"]: process for process in supervisor.processes()}
    reasons = _at_once(state.addresses.values(), [processes[name]["pid"] for name in state.addresses])
    if any(reasons) and state.embedded and is_free(int(state.kafka.rpartition(":")[2])):
        # They say that nothing listens there, and to start it: whose it is they cannot know.
        why = (
            f"the broker of `tidemark dev` does not run; it is started again, and {state.data}/logs/kafka.log says why"
        )
        reasons = [reason and (why if state.kafka in reason else reason) for reason in reasons]
    return {
        name: f"{reason} ({processes[name]['statename'].lower()})"
        for name, reason in zip(state.addresses, reasons, strict=True)
        if reason
    }


class ServiceBuild(NamedTuple):
    """Of which build a service says to be."""

    release: str | None
    """None: it does not say."""
    formats: dict[str, int]
    """`written`, the level of formats that it writes, and `read`, the newest that it reads; empty when it does not say."""


def build(address: str) -> ServiceBuild:
    """Ask a service of which build it is."""
    answer = told(address)
    levels = answer.get("formats", {})
    return ServiceBuild(
        answer.get("release"), {name: int(levels[name]) for name in ("written", "read") if name in levels}
    )


def told(address: str) -> dict[str, Any]:
    """Return what a service says of itself; nothing if it does not answer."""
    try:
        answer = _http().get(f"{address}/readyz").json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def readiness(address: str, pid: int | None = None) -> str | None:
    """
    Ask a service whether it is ready; return the reason when it is not, None when it is.

    With a `pid` an answer of another process does not count.
    """
    try:
        response = _http().get(f"{address}/readyz")
    except (httpx.HTTPError, httpx.InvalidURL):
        return NO_ANSWER
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return f"it answers with status {response.status_code}, and not as a Tidemark service does"
    if pid is not None and answer.get("pid") != pid:
        return "another process answers on its port"
    return None if response.status_code == httpx.codes.OK else str(answer.get("reason", response.status_code))


@cache
def _http() -> httpx.Client:
    """Return one client for all questions: each new one reads all certificates of the machine, 25 ms of CPU."""
    return httpx.Client(timeout=2, limits=httpx.Limits(max_keepalive_connections=0))
