"""Which release of Tidemark a process is of: `tidemark --version`, /readyz, /metrics and the log say it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Gauge


@cache
def release() -> str:
    """Return the version of the installed package."""
    return version("tidemark")


class ReleaseMetrics:
    """The release in a process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register and set it."""
        self.info = Gauge(
            "tidemark_release_info", "1, with the release of the process as a label.", ["version"], registry=registry
        )
        self.info.labels(release()).set(1)
