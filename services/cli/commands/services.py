"""`tidemark ingest | scorer | alerter | warehouse | console`: run one service in this process."""

from __future__ import annotations

from importlib import import_module

import typer

SERVICES = {
    "ingest": "Accept events over HTTP and write them to Kafka.",
    "scorer": "Keep each account's usage trends and health.",
    "alerter": "Turn health into risk and expansion signals.",
    "warehouse": "Store events, health and signals, answer queries, and serve the console.",
    "console": "Serve the console apart from the warehouse, against the query API at --api.",
}


def register(app: typer.Typer) -> None:
    """Add one command per service; its arguments are passed to the service unchanged."""
    for name, summary in SERVICES.items():
        _add(app, name, summary)


def _add(app: typer.Typer, name: str, summary: str) -> None:
    # The service parses its own arguments, --help included.
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(name, help=f"{summary} --check-config lists all configuration errors.",
                 context_settings=settings, add_help_option=False)  # fmt: skip
    def run(context: typer.Context) -> None:
        raise typer.Exit(import_module(f"services.{name}.__main__").main(context.args))
