"""A lane of attribution for each test."""

from __future__ import annotations

import pytest

from tests.support.attribution import AttributionLane


@pytest.fixture
def lane() -> AttributionLane:
    return AttributionLane()
