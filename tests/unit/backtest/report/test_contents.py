"""What a report says of a list of lost customers."""

from __future__ import annotations

from services.backtest.measuring import measure, measure_list
from services.backtest.report.contents import Measured, part_of
from services.backtest.words import speech
from tests.support.driven import driven, lost


def test_an_account_that_is_only_written_otherwise_is_told_with_how_events_write_it() -> None:
    told = driven(lost("umbrella", 280), lost("ACME", 300), lost("so-ylent ", 300), lost("nobody", 280))

    part = part_of(Measured(told, measure(told, draws=0), measure_list(told)), speech("en"))

    left_out = next(section.table for section in part.sections if section.title == "Left out")
    assert left_out is not None
    assert [row for (row,) in left_out.rows if not row.startswith("3 events")] == [
        "nobody: no event of it in the history: is the id the one that events carry?",
        "ACME: no event of it in the history, but of “acme”: write the id as events carry it",
        "so-ylent : no event of it in the history, but of “soylent”: write the id as events carry it",
    ]
