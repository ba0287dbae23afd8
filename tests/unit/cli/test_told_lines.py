"""Every command that reads a file names its rows by the line that an editor shows."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from services.backfill import account_file
from services.backfill.files import survey
from services.backfill.mapping import Mapping
from services.backtest.histories.outcome_file import BadOutcomesError, read_outcomes
from services.backtest.words import speech
from services.cli.local import write_keys
from services.cli.plan.observed import NoCall, calls_in
from services.cli.resolving import read_file, read_users
from services.shared.errors import WrongArgument
from services.shared.plan_file import default_plan
from services.shared.pseudonyms import Pseudonyms

NOW_MS = 1_800_000_000_000
PSEUDONYMS = Pseudonyms(b"k" * 32)


def of_backfill(folder: Path) -> str:
    file = folder / "events.csv"
    file.write_text('account,user,timestamp\nacme,kim,2026-01-05\n"Acme\nCo",kim,2026-01-06\n\nacme,kim,soon\n')
    with pytest.raises(WrongArgument) as refused:
        survey(file, Mapping(), "backfill", NOW_MS)
    return str(refused.value)


def of_accounts(folder: Path) -> str:
    file = folder / "accounts.csv"
    file.write_text('account,seats\nacme,5\n"Acme\nCo",5\n\nglobex,many\n')
    return "\n".join(account_file.read(file, "account", NOW_MS, default_plan().group_traits).problems)


def of_users(folder: Path) -> str:
    file = folder / "users.csv"
    file.write_text('user,account\nkim,acme\n"kim\nlee",acme\n\n"jo",\n')
    return "\n".join(read_file(file, PSEUDONYMS)[1])


def of_withdrawn_users(folder: Path) -> str:
    file = folder / "users.csv"
    file.write_text('user,account\nkim,acme\n"kim\nlee",acme\n\n"",acme\n')
    return "\n".join(read_users(file, PSEUDONYMS)[1])


def of_outcomes(folder: Path) -> str:
    file = folder / "lost.csv"
    file.write_text('account,date\nacme,2026-01-05\n"Acme\nCo",2026-01-05\n\nglobex,soon\n')
    return "\n".join(read_outcomes(file, date(2026, 6, 1), speech("en")).problems)


def of_calls(folder: Path) -> str:
    file = folder / "calls.ndjson"
    file.write_text("\n" * 5 + "no JSON\n")
    return "\n".join(f"line {call.line}" for call in calls_in(file) if isinstance(call, NoCall))


@pytest.mark.parametrize(
    "told", [of_backfill, of_accounts, of_users, of_withdrawn_users, of_outcomes, of_calls], ids=lambda of: of.__name__
)
def test_a_row_after_one_of_two_lines_and_an_empty_line_is_named_by_its_own_line(tmp_path: Path, told: object) -> None:
    assert callable(told)
    said = told(tmp_path)

    assert re.search(r"\bline 6\b", said)
    assert not re.search(r"\brow \d", said)


def test_a_row_of_two_lines_is_named_by_its_first(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    file.write_text('account,user,timestamp\nacme,"kim\nlee\njo",soon\nacme,kim,2026-01-05\n')

    with pytest.raises(WrongArgument, match="  line 2: column 'timestamp'"):
        survey(file, Mapping(), "backfill", NOW_MS)


def test_an_entry_of_a_list_is_named_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- {account: acme, seats: 5}\n\n- {account: globex, seats: many}\n")
    told = account_file.read(file, "account", NOW_MS, default_plan().group_traits).problems
    file.write_text("- {key_sha256: ab, source: web}\n- 7\n")

    assert [each.partition(":")[0] for each in told] == ["entry 2"]
    with pytest.raises(WrongArgument, match="entry 2 is no write key"):
        write_keys.read(file)


def test_no_list_of_losses_at_all_names_its_lines_too(tmp_path: Path) -> None:
    file = tmp_path / "lost.csv"
    file.write_text("account,date\nglobex,soon\n")

    with pytest.raises(BadOutcomesError, match="line 2"):
        read_outcomes(file, date(2026, 6, 1), speech("en"))
