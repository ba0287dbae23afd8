"""What an event that records a loss says."""

import pytest

from services.shared.tracking_plan.losses import loss_of


def test_a_loss_has_its_day_and_its_reason() -> None:
    assert loss_of('{"date":"1970-01-03","reason":"price","author":"Nora Lindt"}') == (2, "price")
    assert loss_of('{"date":"1970-01-03T10:00:00Z"}') == (2, "")


@pytest.mark.parametrize("properties", ["{}", "[]", "nonsense", '{"date":"soon"}', '{"date":null}', '{"date":3}'])
def test_what_names_no_day_is_no_loss(properties: str) -> None:
    assert loss_of(properties) is None
