"""Services that run: whether they are ready, the files that they watch, and their clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.cli.examining import losses
from services.cli.examining.findings import Finding, judge
from services.cli.local.stack_state import StackState

_APART_S = 10.0
_CLOCKS_APART = {f"tidemark_{name}_clock_apart_seconds" for name in ("ingest", "scorer")}


@dataclass(frozen=True, slots=True)
class AskedService:
    """A service that was asked."""

    address: str
    reason: str | None
    """Why it is not ready, None where it is."""


def ask(state: StackState | None) -> dict[str, AskedService]:
    """Ask the services of the stack, or those that `tidemark status` asks where none of ours runs."""
    from services.cli.local import readiness
    from services.cli.local.supervision import Supervisor

    if state:
        waiting = readiness.readiness_of_all(state, Supervisor(Path(state.supervisor)))
        return {name: AskedService(address, waiting.get(name)) for name, address in state.addresses.items()}
    addresses = readiness.addresses()
    return {name: AskedService(addresses[name], reason) for name, reason in readiness.ask_all(addresses).items()}


def answering(services: Mapping[str, AskedService]) -> dict[str, str]:
    """Return the services that answered, with their addresses: what is frozen is not asked again."""
    from services.cli.local.readiness import NO_ANSWER, NO_SUPERVISOR

    silent = (NO_ANSWER, NO_SUPERVISOR)
    return {name: each.address for name, each in services.items() if not (each.reason or "").startswith(silent)}


def look(services: Mapping[str, AskedService], state: StackState | None, *, topics: bool) -> Iterator[Finding]:
    """Say of services that were asked whether they do their work; they are meant to once there are `topics`."""
    from services.cli.local.readiness import variable

    found = answering(services)
    if state is None and not found:
        where = ", ".join(each.address for each in services.values())
        given = any(os.environ.get(variable(name)) for name in services)
        hint = (
            "; start them, or set TIDEMARK_INGEST_URL and so on if they run elsewhere" if topics and not given else ""
        )
        yield Finding("services", not given and not topics, f"no service answers at {where}{hint}")
        return
    for name, each in services.items():
        unset = state is None and not os.environ.get(variable(name))
        hint = f": set {variable(name)} if it runs elsewhere" if unset and name not in found else ""
        detail = each.address if each.reason is None else f"{each.reason} ({each.address}){hint}"
        yield Finding(f"{name} ready", each.reason is None, detail)
    yield judge("files", lambda: files(found))
    yield judge("clocks", lambda: apart(found))
    if "ingest" in found:
        yield judge("put off", lambda: losses.put_off(found["ingest"]))
    yield judge("losses", lambda: losses.lost(found))
    yield judge("state", lambda: losses.state(found))
    file = os.environ.get("TIDEMARK_ACCOUNTS_FILE")
    if file and "ingest" in found:
        yield judge("accounts", lambda: accounts(found["ingest"], Path(file)))


def accounts(ingest: str, file: Path) -> str:
    """Say whether ingest has the accounts of a file in force."""
    from services.cli.local.accounts_of_ingest import InForce, in_force
    from services.ingest.accounts_file import load_accounts

    found = in_force(ingest, load_accounts(file))
    if found is InForce.OTHER:
        raise OSError(f"{found.value} than {file}: restart it, then run `tidemark accounts apply`")
    return f"{found.value}, of {file}" if found is InForce.SAME else found.value


def files(addresses: Mapping[str, str]) -> str:
    """Say whether services could take over the files that they watch."""
    from services.cli.local.readiness import told

    unreadable = [
        f"{name} cannot take over {path} as it is now"
        for name, address in addresses.items()
        for path in told(address).get("unreadable", ())
    ]
    if unreadable:
        raise OSError(
            f"{'; '.join(unreadable)}: what it held before stays in force, and the next start will fail."
            " --check-config with that service's settings says what is wrong"
        )
    return "services have taken over the files that they watch"


def apart(addresses: Mapping[str, str]) -> str:
    """Say how far the clocks of services and brokers are apart."""
    import httpx

    from services.cli.local.metrics_page import metrics_of

    apart: dict[str, float] = {}
    for name, address in addresses.items():
        with suppress(httpx.HTTPError):  # whether it answers is another line
            for each in metrics_of(address, _CLOCKS_APART):
                apart[f"{name} and broker {each.labels['broker']}"] = each.value
    if not apart:
        return "nothing has been compared yet"
    most = max(apart, key=lambda pair: abs(apart[pair]))
    if abs(apart[most]) > _APART_S:
        raise OSError(f"{most} are {abs(apart[most]):.0f} s apart: set both (NTP); log time goes by the slower one")
    return "the services that were asked and the brokers agree"


def clock(address: str) -> str:
    """Say how far this machine's clock is from that of ingest."""
    import httpx

    try:
        response = httpx.get(f"{address}/healthz", timeout=5)
    except httpx.HTTPError as error:
        raise OSError(f"{address} does not answer: {error}") from error
    sent = response.headers.get("date")
    if not sent:
        return f"local time is {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}"
    from email.utils import parsedate_to_datetime

    apart = abs(parsedate_to_datetime(sent).timestamp() - time.time())
    if apart > 60:
        raise OSError(f"{apart:.0f} s apart from ingest's: set the time on both (NTP)")
    return f"within {max(apart, 1):.0f} s of ingest's"
