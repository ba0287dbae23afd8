"""`tidemark signals tail | held`."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, find, reach
from services.cli.terminal import on_one_line, tell_json, tell_lines
from services.shared.errors import WrongArgument
from services.shared.units import DAY_S

if TYPE_CHECKING:
    from rich.text import Text

    from services.alerter.domain.rules import RuleSet
    from services.cli.held import Held
    from services.cli.people import People
    from services.shared.kafka.settings import KafkaSettings


STYLES = {"CRITICAL": "bold red", "WARNING": "yellow", "INFO": "cyan"}


def register(app: typer.Typer) -> None:
    """Add the group `signals`."""
    group = typer.Typer(help="Risk and expansion signals.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("tail")(tail)
    group.command("held")(held)
    app.add_typer(group, name="signals")


def tail(
    *,
    json: JsonOption = False,
    history: Annotated[
        bool, typer.Option("--history", help="Begin with all signals that are kept, resolved ones too.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop after the signals that exist now.")] = False,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    data: DataOption = None,
) -> None:
    """Show the open signals, then each new one as it fires, with its evidence and what to do."""

    def wanted(signal: dict[str, Any]) -> bool:
        return (account is None or signal["account"] == account) and (rule is None or signal["rule"] == rule)

    from services.cli.people import People

    with suppress(KeyboardInterrupt):
        running = find(data)
        people = People(running.warehouse, running.query_token)
        asyncio.run(_tail(cluster(data), people, json=json, history=history, once=once, rule=rule, wanted=wanted))


def held(*, json: JsonOption = False, data: DataOption = None) -> None:
    """List the accounts whose usage signals are held: away, on holidays, or at work through programs. It reads the health of all."""
    from services.cli.held import read_held

    found = asyncio.run(_reached(cluster(data), _rules(), read_held))
    if json:
        tell_json([each._asdict() for each in found])
        return
    for each in found:
        tell_lines(held_in_words(each))
    print(f"{len(found)} held by their own calendars or programs")


def held_in_words(held: Held) -> Iterator[str]:
    """Yield lines about an account whose signals are held."""
    yield f"{held.name} ({held.account}): {held.why}" if held.name else f"{held.account}: {held.why}"
    yield f"    held: {', '.join(held.rules)}"
    if held.would_fire:
        yield f"    their conditions hold: {', '.join(held.would_fire)}"


async def _reached(kafka: KafkaSettings, rules: Any, read: Any) -> Any:
    await reach(kafka)
    return await read(kafka, rules)


def _rules() -> RuleSet:
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.shared.settings import load

    settings = load(AlerterSettings)
    return load_rules(settings.rules_dir, settings.rules_overrides)


def _check_rule(name: str, past: list[dict[str, Any]]) -> None:
    """Refuse a rule that there is not: waiting for its signals would never end."""
    # A rule that has signals may be gone since, or be one that the settings of this shell do not know.
    known = {rule.id for rule in _rules().ordered} | {signal["rule"] for signal in past}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), n=1)
        hint = f"do you mean {near[0]}?" if near else "`tidemark rules list` shows those in force"
        raise WrongArgument(
            f"--rule {name}: the settings of this shell have no such rule, and no signal is of it; {hint}"
        )


async def _tail(
    kafka: KafkaSettings,
    people: People,
    *,
    json: bool,
    history: bool,
    once: bool,
    rule: str | None,
    wanted: Any,
) -> None:
    from rich.console import Console

    from services.cli.signal_stream import SignalStream

    await reach(kafka)
    console, says = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)

    async def show(signal: dict[str, Any], *, new: bool) -> None:
        if not wanted(signal):
            return
        if json:
            tell_json(signal)
        else:
            console.print(in_words(await people.in_signal(signal, new=new)))

    async with SignalStream(kafka, says.print, history=history) as stream:
        past = await stream.past()
        if rule is not None:
            _check_rule(rule, past)
        for signal in past:
            await show(signal, new=False)
        if not once:
            async for signal in stream.news():
                await show(signal, new=True)


def in_words(signal: dict[str, Any]) -> Text:
    """Return a signal for people: what happened to whom, the evidence, and what to do."""
    from rich.text import Text

    signal = {name: on_one_line(value) if isinstance(value, str) else value for name, value in signal.items()}
    moment = datetime.fromtimestamp(signal["at"] / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    state = signal["transition"].lower()
    text = Text()
    text.append(f"{moment}  ", style="dim")
    resolved = signal["transition"] == "RESOLVED"
    style = "green" if resolved or signal["category"] == "EXPANSION" else STYLES.get(signal["severity"], "")
    text.append(f"{signal['severity'].lower():8} {signal['rule']:20} ", style=style)
    text.append(signal["account_name"] or signal["account"], style="bold")
    text.append(f"  {signal['title']}")
    if resolved:
        text.append(f" (resolved: {signal['resolved_reason'] or 'over'})", style="green")
    elif state != "firing":
        text.append(f" ({state})")
    if signal["historical"]:
        text.append(" [from the past]", style="dim")
    text.append(f"\n    {signal['summary']}")
    if not resolved:
        text.append(f"\n    What to do: {signal['action']}", style="italic")
    who = [signal["owner"] and f"owner {signal['owner']}"]
    if signal["revenue"] is not None:
        who.append(f"{signal['revenue']:,.0f} a year")
    if signal["renewal_day"] is not None:
        who.append(f"renews {datetime.fromtimestamp(signal['renewal_day'] * DAY_S, UTC):%Y-%m-%d}")
    who.append(f"health {signal['score_tenths'] / 10:.0f} of 100" if signal["band"] != "UNKNOWN" else "")
    if any(who):
        text.append("\n    " + ", ".join(part for part in who if part), style="dim")
    return text
