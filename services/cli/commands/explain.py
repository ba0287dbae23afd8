"""`tidemark explain`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.local.stack_state import DataOption, JsonOption, cluster, reach
from services.shared.errors import WrongArgument
from services.shared.units import day_number, read_date

if TYPE_CHECKING:
    from services.alerter.domain.rules import RuleSet
    from services.cli.explaining.reading import Explained
    from services.shared.kafka.settings import KafkaSettings


def register(app: typer.Typer) -> None:
    """Add the command `explain`."""
    app.command("explain")(explain)


def explain(
    account: Annotated[str, typer.Argument(help="The account's id, as events name it.")],
    *,
    at: Annotated[
        str | None,
        typer.Option(help="A day, such as 2027-03-31 (UTC): as of its close. By default the end of the log."),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Say why this rule did or did not fire.")] = None,
    days: Annotated[int, typer.Option(min=1, max=400, help="With --rule: how many days to look back.")] = 90,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """
    Recompute from the log what was known of an account on a day, and why.

    It folds the account's partition up to that day with the tracking plan, model and rules in force here. It reads only.
    """
    day = None if at is None else _day(at)
    found, rules = asyncio.run(_explained(cluster(data), account, day))
    if rule is not None:
        from services.cli.explaining.printing import print_rule
        from services.cli.explaining.rule import why
        from services.cli.held import iso

        told = why(found, rules, rule, days)
        _json({"account": account, "day": iso(found.day), **told}) if json else print_rule(found, told)
        return
    from services.cli.explaining.health import as_dict
    from services.cli.explaining.printing import print_health

    _json(as_dict(found, rules)) if json else print_health(as_dict(found, rules))


def _day(text: str) -> int:
    try:
        return day_number(read_date(text))
    except ValueError:
        raise WrongArgument(f"--at {text}: give a day such as 2027-03-31") from None


async def _explained(kafka: KafkaSettings, account: str, day: int | None) -> tuple[Explained, RuleSet]:
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.cli.explaining import reading
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load

    alerter = load(AlerterSettings)
    rules = load_rules(alerter.rules_dir, alerter.rules_overrides)
    plan, model = load_scoring(load(ScorerSettings))
    await reach(kafka)
    return await reading.explain(kafka, account, day, plan, model, rules), rules


def _json(told: dict[str, Any]) -> None:
    from services.cli.terminal import tell_json

    tell_json(told)
