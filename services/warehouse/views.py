"""The views that people and tools read with SQL (schemas/clickhouse/0006_views.sql, docs/sql.md)."""

from __future__ import annotations

from typing import NamedTuple


class View(NamedTuple):
    """One documented view."""

    name: str
    date: str | None
    """The column by which a part of it can be taken; None: it is taken whole."""
    order: str
    """The columns that tell its rows apart."""


VIEWS = {
    view.name: view
    for view in (
        View("accounts_today", None, "account"),
        View("health_by_day", "date", "account, date"),
        View("onboarding_funnel", "cohort", "cohort"),
        View("feature_adoption", "cohort", "cohort, feature"),
        View("retention_by_cohort", "cohort", "cohort, months_after"),
        View("week_against_usual", None, "account"),
        View("support_load", "date", "account, date"),
    )
}
