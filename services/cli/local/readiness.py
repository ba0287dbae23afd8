"""Which services of a stack do their work, asked of themselves."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

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


class ServiceBuild(NamedTuple):
    """Of which build a service says to be."""

    release: str | None
    """None: it does not say."""
    formats: dict[str, int]
    """`written`, the level of formats that it writes, and `read`, the newest that it reads; empty when it does not say."""


def build(address: str) -> ServiceBuild:
    """Ask a service of which build it is."""
    try:
        answer = _http().get(f"{address}/readyz").json()
    except (httpx.HTTPError, ValueError):
        return ServiceBuild(None, {})
    levels = answer.get("formats", {})
    return ServiceBuild(
        answer.get("release"), {name: int(levels[name]) for name in ("written", "read") if name in levels}
    )


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
