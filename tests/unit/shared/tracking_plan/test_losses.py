"""What an event that records a loss says."""

import pytest

from services.shared.tracking_plan.losses import loss_of


def test_a_loss_has_its_day_and_its_reason() -> None:
    assert loss_of('{"date":"1990-01-03","reason":"price","author":"Nora Lindt"}') == (7_307, "price")


@pytest.mark.parametrize(
    "date", ['"1990-01-03T10:00:00Z"', '"19900103T100000Z"', '"1990-01-02T23:00:00-03:00"', "631324800", "631324800000"]
)
def test_a_loss_has_its_day_in_each_form_that_the_tracking_plan_takes(date: str) -> None:
    assert loss_of(f'{{"date":{date}}}') == (7_307, "")


@pytest.mark.parametrize(
    "properties",
    [
        "{}",
        "[]",
        "nonsense",
        '{"date":"soon"}',
        '{"date":null}',
        '{"date":true}',
        '{"date":-3}',
        f'{{"date":1{"0" * 400}}}',
    ],
)
def test_what_names_no_day_is_no_loss(properties: str) -> None:
    assert loss_of(properties) is None


@pytest.mark.parametrize("date", ['"1969-12-31"', '"1989-12-31"', "3", '"0001-01-01T00:00:00+10:00"', '"2200-01-01"'])
def test_a_day_on_which_no_customer_can_have_been_lost_is_no_loss(date: str) -> None:
    assert loss_of(f'{{"date":{date}}}') is None
