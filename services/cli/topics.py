"""`tidemark topics create | check`."""

from __future__ import annotations

import asyncio

import typer

from services.cli.running import DataOption, find


def register(app: typer.Typer) -> None:
    """Add the group `topics`."""
    group = typer.Typer(help="The topics on the cluster, against their records.", no_args_is_help=True)
    group.command("create")(create)
    group.command("check")(check)
    app.add_typer(group, name="topics")


def create(data: DataOption = None) -> None:
    """Create the topics that are missing; change none that exist."""
    from services.shared.kafka import topics
    from services.shared.kafka.clients import wait_for_broker

    kafka = find(data).kafka

    async def run() -> list[str]:
        await wait_for_broker(kafka, within_s=15)
        return await topics.create(kafka)

    created = asyncio.run(run())
    for name in created:
        print(f"created {name}")
    if not created:
        print("all topics exist")


def check(data: DataOption = None) -> None:
    """Compare the topics with their records; exit status 1 when something differs."""
    from services.shared.kafka import topics
    from services.shared.kafka.clients import wait_for_broker

    kafka = find(data).kafka

    async def run() -> list[str]:
        await wait_for_broker(kafka, within_s=15)
        return await topics.check(kafka)

    problems = asyncio.run(run())
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(1)
    print("all topics are as their records say")
