"""A week in which accounts fell, rose and renew."""

import pytest

from services.console.report.week import Week, read
from tests.unit.console.report.weeks import api_over, two_weeks


@pytest.fixture
async def week() -> Week:
    return await read(api_over(two_weeks()))
