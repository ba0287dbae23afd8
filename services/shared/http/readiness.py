"""Whether a process does its work, for `/readyz` and for `/metrics`."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

NotReady = Callable[[], str | None]
"""Returns what the process still waits for, in words; None when it is ready."""


class ReadinessMetrics:
    """Readiness in a process's registry, asked for at each scrape."""

    def __init__(self, registry: CollectorRegistry, not_ready: NotReady = lambda: None) -> None:
        """Register with `registry`."""
        ready = Gauge(
            "tidemark_process_ready",
            "1 while the process does its work, 0 while /readyz of it answers 503.",
            registry=registry,
        )
        ready.set_function(lambda: not_ready() is None)
