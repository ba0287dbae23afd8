"""How long an account may be silent: the more and the steadier it is used, the shorter."""

from __future__ import annotations

import pytest

from services.scorer.domain.health.usage import Pauses, silence_limit


@pytest.mark.parametrize(
    ("usual_week", "people", "pauses", "limit"),
    [
        (1.0, 1, Pauses(7, 10), 26),
        (4.0, 1, Pauses(3, 5), 20),
        (1.0, 4, Pauses(7, 10), 31),
        (1.0, 1, Pauses(20, 33), 33),
        (1.0, 1, Pauses(40, 90), 42),
        (5.0, 4, Pauses(3, 9), 9),
        (50.0, 30, Pauses(1, 3), 7),
        (6.0, 4, Pauses(14, 14), 28),
        (0.0, 0, Pauses(0, 0), 41),
    ],
)
def test_the_limit_follows_use_people_and_own_pauses(
    usual_week: float, people: int, pauses: Pauses, limit: int
) -> None:
    assert silence_limit(usual_week, people, pauses) == limit
