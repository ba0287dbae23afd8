"""The metrics that a service shows to Prometheus, asked of itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from prometheus_client.samples import Sample


def metrics_of(address: str, wanted: Collection[str]) -> list[Sample]:
    """
    Return the samples of these names; none if what answers is no page of metrics.

    Raises:
        httpx.HTTPError: the service does not answer.
    """
    from prometheus_client.parser import text_string_to_metric_families

    page = httpx.get(f"{address}/metrics", timeout=5).text
    try:
        samples = [each for family in text_string_to_metric_families(page) for each in family.samples]
    except ValueError:
        return []
    return [each for each in samples if each.name in wanted]
