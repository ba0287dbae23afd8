"""The command over a file of events: the short form, both reports, other rules over kept snapshots, and what it refuses."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support.commands import command_line, run_tool

FIRST, DAYS = date(2024, 1, 1), 300


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven accounts with two people on workdays; two of them stop."""
    file = tmp_path_factory.mktemp("events") / "events.csv.gz"
    with gzip.open(file, "wt", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("company", "person", "when"))
        for day in range(DAYS):
            at = FIRST + timedelta(days=day)
            for account in range(11):
                if at.weekday() < 5 and (account > 1 or day < 180):
                    rows.writerows((f"c{account}", person, f"{at.isoformat()}T10:00:00Z") for person in ("ann", "bob"))
    return file


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = command_line("backtest", *words)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert ran.returncode == 0, ran.stderr
    return ran


def refused(*words: str, rc: int = 2) -> str:
    """Return what it says to what it refuses."""
    ran = run_tool("backtest", *words)
    assert ran.returncode == rc, ran.stderr
    return ran.stderr


def columns(file: Path) -> list[str]:
    return [str(file), "--account", "company", "--user", "person", "--time", "when", "--draws", "10"]


def test_a_file_is_judged_by_a_list_and_again_by_other_rules(events: Path, tmp_path: Path) -> None:
    lost = tmp_path / "lost.csv"
    lost.write_text(f"account,date\nc0,{FIRST + timedelta(days=210)}\nc1,{FIRST + timedelta(days=205)}\nc2,9/3\n")
    page, text, keep = tmp_path / "report.html", tmp_path / "report.md", tmp_path / "kept"
    given = [*columns(events), "--outcomes", str(lost), "--keep", str(keep)]

    first = run(*given, "--html", str(page), "--markdown", str(text))

    assert "Of your 2 lost accounts Tidemark would have flagged 2, at the median" in first.stdout
    assert "0.0 calls in vain a week." in first.stdout
    assert "1 account on the list could not be judged and is not in these numbers: c2." in first.stdout
    assert first.stdout.splitlines()[1].strip() in text.read_text().replace("\n", " ")
    assert page.read_text().count("<svg") == 4
    made_by = text.read_text().split("`")[1].replace("\n", " ")
    assert made_by == (
        "tidemark backtest events.csv.gz --account company --user person --time when --draws 10 --outcomes lost.csv"
    )
    kept = (keep / "events.snapshots").stat().st_mtime_ns

    off = tmp_path / "off.yaml"
    off.write_text(
        "".join(f"{rule}: {{enabled: false}}\n" for rule in ("usage_silent", "usage_decline", "usage_decline_fast"))
    )
    other = run(*given, "--overrides", str(off), "--short")

    assert "Tidemark would have flagged 0, with 0.0 calls in vain a week." in other.stdout
    assert "These plain rules do better than Tidemark here" in other.stdout
    assert (keep / "events.snapshots").stat().st_mtime_ns == kept


def test_malformed_rows_are_left_out_where_that_is_asked_for_and_told(events: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    with gzip.open(events, "rt") as text:
        file.write_text("".join(text.readlines()[:2000]) + ",ann,2024-06-01T10:00:00Z\n")

    said = refused(*columns(file), "--short")
    told = run(*columns(file), "--skip-bad-rows").stdout

    assert "leave them out with --skip-bad-rows" in said
    assert "1 event was not counted: they are rows of the file that are malformed" in told


def test_a_page_without_the_packages_for_it_is_refused_before_any_work(
    events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    said = refused(*columns(events), "--html", str(tmp_path / "x.html"), rc=1)

    assert "needs matplotlib, which is not installed: pip install 'tidemark[backtest]'" in said


@pytest.mark.parametrize(
    ("option", "name", "says"),
    [
        ("--markdown", "nowhere/report.md", "cannot be written: there is no folder"),
        ("--markdown", "", "cannot be written: it is a folder; name a file in it"),
        ("--html", "", "cannot be written: it is a folder; name a file in it"),
        ("--keep", "file", "has to be a folder, and"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    events: Path, tmp_path: Path, option: str, name: str, says: str
) -> None:
    (tmp_path / "file").write_text("")

    said = refused(*columns(events), option, str(tmp_path / name))

    assert said.startswith(f"tidemark: {option} {tmp_path / name} ")
    assert says in said
    assert "%" not in said  # of the history that is driven


def test_a_seed_below_zero_is_refused_with_the_range(events: Path) -> None:
    said = refused(*columns(events), "--generated", "-1")

    assert "'--generated': Input should be greater than or equal to 0" in " ".join(said.replace("│", "").split())


def test_a_language_that_there_is_not_is_refused_with_those_there_are(events: Path) -> None:
    said = refused(*columns(events), "--language", "fr")

    assert "'fr' is not one of 'en', 'pt', 'it'" in " ".join(said.replace("│", "").split())


def test_a_list_for_made_up_customers_alone_is_refused(tmp_path: Path) -> None:
    lost = tmp_path / "lost.csv"
    lost.write_text("account,date\nc0,2024-06-01\n")

    assert "--outcomes says what became of real accounts" in refused("--outcomes", str(lost), "--generated", "1")


def test_where_ones_own_history_is_says_nothing_of_a_file(events: Path) -> None:
    assert "--from says where your own history is" in refused(*columns(events), "--from", "warehouse")


def test_a_file_with_other_columns_is_refused_by_their_names(events: Path) -> None:
    assert "column 'timestamp' is missing" in refused(str(events))
