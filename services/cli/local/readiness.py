"""Which services of a stack do their work, asked of themselves."""

from __future__ import annotations

from functools import cache

import httpx

from services.cli.local.stack_state import StackState
from services.cli.local.supervision import Supervisor

NO_ANSWER = "it does not answer"


def readiness_of_all(state: StackState, supervisor: Supervisor) -> dict[str, str]:
    """Return the services of a stack that are not ready, each with the reason."""
    if not supervisor.answers():
        return dict.fromkeys(state.addresses, "the supervisor does not answer")
    processes = {process["name"]: process for process in supervisor.processes()}
    waiting = {}
    for name, address in state.addresses.items():
        reason = readiness(address, processes[name]["pid"])
        if reason:
            waiting[name] = f"{reason} ({processes[name]['statename'].lower()})"
    return waiting


def levels(address: str) -> dict[str, int]:
    """Return the level of formats that a service writes, and the newest that it reads; nothing when it does not say."""
    try:
        found = _http().get(f"{address}/readyz").json().get("formats", {})
    except (httpx.HTTPError, ValueError):
        return {}
    return {name: int(found[name]) for name in ("written", "read") if name in found}


def readiness(address: str, pid: int | None = None) -> str | None:
    """
    Ask a service whether it is ready; return the reason when it is not, None when it is.

    With a `pid` an answer of another process does not count.
    """
    try:
        response = _http().get(f"{address}/readyz")
    except httpx.HTTPError:
        return NO_ANSWER
    try:
        answer = response.json()
    except ValueError:
        return f"it answers with status {response.status_code}, and no JSON"
    if pid is not None and answer.get("pid") != pid:
        return "another process answers on its port"
    return None if response.status_code == httpx.codes.OK else str(answer.get("reason", response.status_code))


@cache
def _http() -> httpx.Client:
    """Return one client for all questions: each new one reads all certificates of the machine, 25 ms of CPU."""
    return httpx.Client(timeout=2, limits=httpx.Limits(max_keepalive_connections=0))
