"""All panels of an account, in the order in which they stand, and the axis that they share."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from services.console.addresses import account_address
from services.console.charts.timeline import ruler
from services.console.panels import happenings, values
from services.console.panels.context import Panel, PanelContext

_MADE_BY = (values.health, values.use, values.customers, happenings.people, happenings.signals, happenings.events)


class Panels:
    """The panels that have anything to show."""

    def __init__(self, context: PanelContext) -> None:
        self._context = context

    def __iter__(self) -> Iterator[Panel]:
        return (panel for panel in (make(self._context) for make in _MADE_BY) if panel is not None)

    @property
    def ruler(self) -> Markup:
        """Return the axis, each week a link to what was known at its end."""
        c = self._context
        return ruler(
            c.axis,
            c.t("account.axis"),
            month=lambda day: c.f.month(day.isoformat()),
            week=lambda day: (account_address(c.account, at=day.isoformat()), c.t("account.open_day", day=c.day(day))),
        )
