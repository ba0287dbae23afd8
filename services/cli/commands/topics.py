"""`tidemark topics create | check`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from services.cli.local.stack_state import DataOption, cluster, reach
from services.shared import exit_status


def register(app: typer.Typer) -> None:
    """Add the group `topics`."""
    group = typer.Typer(help="The topics on the cluster, and their definitions.", no_args_is_help=True)
    group.command("create")(create)
    group.command("check")(check)
    app.add_typer(group, name="topics")


def create(
    data: DataOption = None,
    *,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Record TIDEMARK_PARTITIONS again for topics with data, if that record was lost."),
    ] = False,
) -> None:
    """
    Create missing topics; change no existing ones.

    The first run records the number of partitions for good; from then on every process refuses any other number.
    """
    from services.shared.kafka import replication, topics
    from services.shared.kafka.clients import admin

    kafka = cluster(data)

    async def run() -> tuple[list[str], str | None]:
        await reach(kafka, within_s=15)
        created = await topics.create(kafka, adopt=adopt)
        async with admin(kafka) as client:
            return created, replication.below_the_record(kafka, await replication.brokers(client))

    created, fewer = asyncio.run(run())
    for name in created:
        print(f"created {name}")
    if created and fewer:
        print(fewer)
    if not created:
        print("all topics exist")


def check(data: DataOption = None) -> None:
    """Compare the topics with their definitions; exit status 78 if something differs."""
    from services.shared.kafka import replication, topics

    kafka = cluster(data)

    async def run() -> list[str]:
        await reach(kafka)
        return [*await topics.check(kafka), *await replication.check(kafka), *await replication.of_brokers(kafka)]

    problems = asyncio.run(run())
    for problem in problems:
        print(problem)
    if problems:
        raise typer.Exit(exit_status.REFUSED)
    print("all topics match their definitions")
