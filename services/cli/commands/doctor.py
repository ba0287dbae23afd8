"""`tidemark doctor`: whether everything is here that Tidemark needs, and if not, what to do."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

from services.cli.commands.services import SERVICES
from services.cli.local import pseudonym_key
from services.cli.local.stack_state import DataOption, Running, StackState, data_folder, find, reach, read_state
from services.shared import exit_status
from services.shared.errors import ConfigurationError, Fatal, TidemarkError

if TYPE_CHECKING:
    from services.alerter.domain.rules import Rule
    from services.scorer.domain.health.risk import RiskModel

_ENOUGH_DISK = 2 * 1024**3
_APART_S = 10.0
_MANY_RECORDS = 200_000
"""Health records: more than a doctor should wait for."""
_CLOCKS_APART = re.compile(r'^tidemark_[a-z]+_clock_apart_seconds\{broker="([^"]*)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    detail: str
    status: int = exit_status.FATAL
    """What the command ends with where this is not good; the highest of all counts."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(data: DataOption = None) -> None:
    """Check everything that Tidemark needs; exit status 1 if something is wrong, 78 if the topics do not fit."""
    bad = status = 0
    for finding in examine(data):
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.what:14} {finding.detail}", flush=True)
        if not finding.good:
            bad += 1
            status = max(status, finding.status)
    if bad:
        print(f"{bad} of the above need attention")
        raise typer.Exit(status)


def examine(data: Path | None) -> Iterator[Finding]:
    """Yield what was found, one thing after the other."""
    yield Finding("python", sys.version_info >= (3, 11), f"{sys.version.split()[0]} in {sys.prefix}")
    yield _judge("formats", _formats)
    embedded = not os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if embedded:
        yield _judge("java", _java)
        yield _judge("kafka jars", _jars)
    yield _judge("disk", lambda: _disk(data_folder(data)))
    state = read_state(data)
    yield from _configurations(_of_folder(data_folder(data), state) if state or embedded else {})
    yield _judge("measures", _measures)
    yield _judge("holidays", _holidays)
    services = _asked(state)
    yield from _services(services, state)
    try:
        running = find(data)
    except ConfigurationError as error:
        yield Finding("kafka", good=False, detail="; ".join(error.problems))
        return
    if running.state is None and embedded:
        detail = f"none runs in {data_folder(data)}; `tidemark dev` starts one"
        if _answering(services):
            detail += "; KAFKA_BOOTSTRAP_SERVERS is not set, so the cluster is not looked at"
        yield Finding("stack", good=True, detail=detail)
        return
    yield from _cluster(running, services)


def _judge(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, good=True, detail=look())
    except (TidemarkError, OSError, subprocess.SubprocessError) as error:
        return Finding(what, good=False, detail=str(error))


def _formats() -> str:
    from services.shared.formats import FormatSettings, in_words
    from services.shared.settings import load

    return in_words(load(FormatSettings).write)


def _java() -> str:
    from services.shared.kafka.embedded.java import java

    path = java()
    output = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    version = re.search(r'version "([^"]+)"', output)
    return f"{version[1] if version else output.splitlines()[0]} at {path}"


def _jars() -> str:
    from services.shared.kafka.embedded.jars import ensure, local_repository

    return f"{len(ensure())} present and checked in {local_repository()}"


def _disk(folder: Path) -> str:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    text = f"{free / 1024**3:.1f} GB free at {there}"
    if free < _ENOUGH_DISK:
        raise OSError(f"{text}: have at least {_ENOUGH_DISK // 1024**3} GB, or choose another --data")
    return text


def _of_folder(folder: Path, state: StackState | None) -> dict[str, str]:
    """Return what `tidemark dev` hands to its services: running here, or once started again."""
    keys = folder / "write-keys.yaml"
    given = {"TIDEMARK_WRITE_KEYS_FILE": state.write_keys_file if state else str(keys) if keys.exists() else ""}
    with suppress(Fatal):
        given[pseudonym_key.VARIABLE] = pseudonym_key.existing(folder)
    return {name: value for name, value in given.items() if value}


def _configurations(given: dict[str, str]) -> Iterator[Finding]:
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


def _stand_ins(folder: Path) -> dict[str, str]:
    """Return something in place of what `tidemark dev` makes at its first start."""
    from services.ingest.settings import IngestSettings
    from services.shared.pseudonyms import KEY_BYTES

    found = {pseudonym_key.VARIABLE: "00" * KEY_BYTES}
    if not (default := Path(IngestSettings.model_fields["write_keys_file"].default)).exists():
        (folder / default.name).write_text("[]")
        found["TIDEMARK_WRITE_KEYS_FILE"] = str(folder / default.name)
    return found


def _measures() -> str:
    """Say what is declared or in force and yet takes no effect: measures without state, rules without measures."""
    from schemas.measures import MEASURES
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.scorer.domain.accounts.kinds import kinds_of
    from services.scorer.domain.health.measuring import not_taken
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load
    from services.shared.tracking_plan.state_names import TYPE_OF_FACT

    plan, model = load_scoring(load(ScorerSettings))
    settings = load(AlerterSettings)
    state = kinds_of(plan).state
    missing = not_taken(state)
    said = [f"{len(MEASURES) - len(missing)} of {len(MEASURES)} can be taken"]
    if missing:
        needs = ", ".join(sorted({need for lacks in missing.values() for need in lacks}))
        said.append(f"the tracking plan declares no {needs}, so these are not: {', '.join(missing)}")
        said += _rules_without(load_rules(settings.rules_dir, settings.rules_overrides).ordered, frozenset(missing))
        said += _risk_without(model.risk, frozenset(missing)) if model.risk else ()
    shown = {f"facts.{name}" for name in TYPE_OF_FACT}  # by health records, or where a baseline begins
    unused = sorted(state - {need for record in MEASURES.values() for need in record.needs} - shown)
    if unused:
        said.append(f"declared, and no measure looks at it: {', '.join(unused)}")
    return "; ".join(said)


def _risk_without(risk: RiskModel, missing: frozenset[str]) -> Iterator[str]:
    """Say what of the risk does not take effect where these measures are missing."""
    if lacking := sorted(missing & risk.terms.keys()):
        yield f"the risk of no account is known, as the model makes it of {', '.join(lacking)}"
    for name, term in risk.terms.items():
        if term.fades is not None and term.fades.measure in missing:
            yield f"the risk's {name} adds nothing, as it fades by {term.fades.measure}"


def _holidays() -> str:
    """Say for which years there are public holidays; in time before they end."""
    from services.shared.calendars import public_holidays

    years = f"public holidays are known from {public_holidays.FIRST_YEAR} to {public_holidays.LAST_YEAR}"
    if time.gmtime().tm_year > public_holidays.LAST_YEAR - 2:
        raise OSError(f"{years}: install a newer release, after that year none count")
    return years


def _rules_without(rules: Iterable[Rule], missing: frozenset[str]) -> Iterator[str]:
    from schemas.measures import MEASURES
    from services.alerter.domain.conditions import may_hold, measures_in

    known = MEASURES.keys() - missing
    dead = [rule.id for rule in rules if not may_hold(rule.fires, known)]
    yield f"rules that can never fire: {', '.join(dead) or 'none'}"
    others = {
        rule.id: sorted(frozenset().union(*map(measures_in, rule.conditions)) & missing)
        for rule in rules
        if rule.id not in dead
    }
    for name, names in others.items():
        if names:
            yield f"{name} goes without {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service that was asked."""

    address: str
    reason: str | None
    """Why it is not ready, None where it is."""


def _asked(state: StackState | None) -> dict[str, _Asked]:
    """Ask the services of the stack, or those that `tidemark status` asks where none of ours runs."""
    from services.cli.local import readiness
    from services.cli.local.supervision import Supervisor

    if state:
        waiting = readiness.readiness_of_all(state, Supervisor(Path(state.supervisor)))
        return {name: _Asked(address, waiting.get(name)) for name, address in state.addresses.items()}
    addresses = readiness.addresses()
    return {name: _Asked(addresses[name], reason) for name, reason in readiness.ask_all(addresses).items()}


def _answering(services: Mapping[str, _Asked]) -> dict[str, str]:
    """Return the services that answered, with their addresses: what is frozen is not asked again."""
    from services.cli.local.readiness import NO_ANSWER, NO_SUPERVISOR

    silent = (NO_ANSWER, NO_SUPERVISOR)
    return {name: each.address for name, each in services.items() if not (each.reason or "").startswith(silent)}


def _services(services: Mapping[str, _Asked], state: StackState | None) -> Iterator[Finding]:
    from services.cli.local.readiness import variable

    answering = _answering(services)
    if state is None and not answering:
        where = ", ".join(each.address for each in services.values())
        given = any(os.environ.get(variable(name)) for name in services)
        yield Finding("services", not given, f"no service answers at {where}")
        return
    for name, each in services.items():
        unset = state is None and not os.environ.get(variable(name))
        hint = f": set {variable(name)} if it runs elsewhere" if unset and name not in answering else ""
        detail = each.address if each.reason is None else f"{each.reason} ({each.address}){hint}"
        yield Finding(f"{name} ready", each.reason is None, detail)
    yield _judge("files", lambda: _files(answering))
    yield _judge("clocks", lambda: _apart(answering))
    file = os.environ.get("TIDEMARK_ACCOUNTS_FILE")
    if file and "ingest" in answering:
        yield _judge("accounts", lambda: _accounts(answering["ingest"], Path(file)))


def _cluster(running: Running, services: Mapping[str, _Asked]) -> Iterator[Finding]:
    from services.shared.kafka import replication, topics

    try:
        asyncio.run(reach(running.kafka))
    except TidemarkError as error:
        yield Finding("kafka", good=False, detail=str(error), status=exit_status.of(error))
        return
    yield Finding("kafka", good=True, detail=f"answers at {running.kafka.bootstrap_servers}")
    problems = asyncio.run(topics.check(running.kafka))
    told = "as their definitions say" if not problems else "\n        ".join(problems)
    yield Finding("topics", not problems, told, exit_status.REFUSED)
    fewer = asyncio.run(replication.check(running.kafka))
    yield Finding("copies", not fewer, "as many as the cluster can keep" if not fewer else "\n        ".join(fewer))
    yield _judge("log time", lambda: _log_time(running))
    yield _judge("attribution", lambda: _attribution(running))
    yield _judge("held", lambda: _held(running))
    if ingest := _answering(services).get("ingest"):
        yield _judge("clock", lambda: _clock(ingest))


def _log_time(running: Running) -> str:
    from services.scorer.lane_facts import read_lanes

    lanes = asyncio.run(read_lanes(running.kafka))
    waiting = [number for number, lane in sorted(lanes.items()) if lane.waiting is not None]
    if waiting:
        raise OSError(f"partitions {waiting} wait for a person to accept a step: see `tidemark clock show`")
    driven = [number for number, lane in sorted(lanes.items()) if lane.driven]
    if driven:
        return f"a backfill has the clock of partitions {driven}; live events are put off until it hands over"
    return "no lane waits for a person"


def _attribution(running: Running) -> str:
    from services.scorer.attribution_facts import read_counters

    lanes = asyncio.run(read_counters(running.kafka)).values()
    waiting = sum(lane.waiting_identified for lane in lanes)
    given_up = sum(lane.dead_lettered for lane in lanes)
    said = [f"{sum(lane.forwarded for lane in lanes):,} events were given an account"]
    if waiting:
        said.append(f"{waiting:,} of identified users wait for one: `tidemark accounts unresolved` lists the users")
    if given_up:
        said.append(f"{given_up:,} of identified users were given up: `tidemark accounts resolve` brings them back")
    return "; ".join(said)


def _held(running: Running) -> str:
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.cli.held import read_held, records_to_read
    from services.shared.settings import load

    if asyncio.run(records_to_read(running.kafka)) > _MANY_RECORDS:
        return "not looked at, there are too many accounts: `tidemark signals held` lists those that are held"
    settings = load(AlerterSettings)
    found = asyncio.run(read_held(running.kafka, load_rules(settings.rules_dir, settings.rules_overrides)))
    if not found:
        return "no account is held by its own calendar or programs"
    waiting = sum(bool(each.would_fire) for each in found)
    return (
        f"usage signals of {len(found):,} accounts are held by planned absences, public holidays or programs,"
        f" conditions hold for {waiting:,} of them: `tidemark signals held` lists them"
    )


def _accounts(ingest: str, file: Path) -> str:
    from services.cli.local.accounts_of_ingest import InForce, in_force
    from services.ingest.accounts_file import load_accounts

    found = in_force(ingest, load_accounts(file))
    if found is InForce.OTHER:
        raise OSError(f"{found.value} than {file}: restart it, then run `tidemark accounts apply`")
    return f"{found.value}, of {file}" if found is InForce.SAME else found.value


def _files(addresses: Mapping[str, str]) -> str:
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


def _apart(addresses: Mapping[str, str]) -> str:
    import httpx

    apart: dict[str, float] = {}
    for name, address in addresses.items():
        with suppress(httpx.HTTPError):  # whether it answers is another line
            for broker, seconds in _CLOCKS_APART.findall(httpx.get(f"{address}/metrics", timeout=5).text):
                apart[f"{name} and broker {broker}"] = float(seconds)
    if not apart:
        return "nothing has been compared yet"
    most = max(apart, key=lambda pair: abs(apart[pair]))
    if abs(apart[most]) > _APART_S:
        raise OSError(f"{most} are {abs(apart[most]):.0f} s apart: set both (NTP); log time goes by the slower one")
    return "services and brokers agree"


def _clock(address: str) -> str:
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
