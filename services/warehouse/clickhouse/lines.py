"""What was known of accounts at the ends of weeks, as SQL."""

# ruff: noqa: S608  what people send goes in as parameters; only names and numbers of ours are put into the text

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from services.warehouse.clickhouse import states
from services.warehouse.clickhouse.current import CurrentQueries
from services.warehouse.domain import weeks


class LineQueries(CurrentQueries):
    """The part of the `Queries` port that is about weeks."""

    def lines(self, accounts: Sequence[str], last_day: int, number: int) -> dict[str, weeks.Line]:
        """Return what was known of each account at the end of each week."""
        if not accounts or not number:
            return {}
        return self._held_lines(accounts, last_day, number, self._lines_of)

    def _lines_of(self, accounts: Sequence[str], last_day: int, number: int) -> dict[str, weeks.Line]:
        """
        Return the lines of accounts: of those with a state on the last day of each week, these states alone are read.

        Where an earlier end has what stands later on the log, all are read: that goes on then.
        """
        if not number:
            return {}
        ends = weeks.ends(last_day, number)
        at_ends = self._found(
            f"""SELECT account, groupArray(known_day) AS days, groupArray(offset) AS offsets,
                groupArray(toString(band)) AS bands, groupArray(score_tenths) AS scores
            FROM account_health_states FINAL
            WHERE known_day IN ({", ".join(map(str, ends))}) AND account IN {{accounts:Array(String)}} AND NOT forgotten
            GROUP BY account""",
            accounts=list(accounts),
        )
        found: dict[str, weeks.Line] = {}
        for row in at_ends:
            by_day = sorted(zip(row["days"], row["offsets"], row["bands"], row["scores"], strict=True))
            if len(by_day) == number and all(one[1] < other[1] for one, other in pairwise(by_day)):
                found[row["account"]] = tuple(weeks.state(band, score) for _, _, band, score in by_day)
        return found | self._carried_lines([name for name in accounts if name not in found], last_day, number)

    def _carried_lines(self, accounts: Sequence[str], last_day: int, number: int) -> dict[str, weeks.Line]:
        """Return the lines of accounts, whatever days they have states of: all of theirs are read."""
        if not accounts:
            return {}
        known = self._found(
            f"""SELECT account, {states.slot(last_day, number)} AS slot, argMax(reason, days.offset) AS reason,
                argMax(band, days.offset) AS band, argMax(score_tenths, days.offset) AS score_tenths,
                max(days.offset) AS offset
            FROM account_health_days AS days WHERE account IN {{accounts:Array(String)}} AND known_day <= {last_day}
            GROUP BY account, slot""",
            accounts=list(accounts),
        )
        return weeks.lines(known, number)
