"""`tidemark backtest --fit`: a list that use foretells gives a model with a percentage; any other is refused with the figures."""

from __future__ import annotations

import csv
import gzip
import random
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest

from services.scorer.domain.health.model import Model
from services.scorer.settings import DEFAULT_MODEL, ScorerSettings, load_scoring
from tests.support.commands import command_line, run_tool

FIRST, DAYS = date(2024, 1, 1), 455
ACCOUNTS, LOST = 60, 26
LESS_DAYS, LITTLE_DAYS = 84, 35


def lost_on(account: int) -> int | None:
    """Return the day on which an account is lost: evenly from day 215 on."""
    return 215 + 9 * account if account < LOST else None


def active(account: int, day: int) -> bool:
    """Say whether an account is active: on two days a week, on one in the last twelve weeks, hardly in the last five."""
    end = lost_on(account)
    left = DAYS if end is None else end - day
    turn = (day + account) % 7
    if left <= LITTLE_DAYS:
        return left > 0 and (day + account) % 14 == 0
    return turn == 0 or (turn == 3 and left > LESS_DAYS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty accounts of one person; 26 fade before they are lost."""
    folder = tmp_path_factory.mktemp("fit")
    with gzip.open(folder / "events.csv.gz", "wt", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(("account", "user", "timestamp"))
        for day in range(DAYS):
            at = f"{FIRST + timedelta(days=day)}T10:00:00Z"
            rows.writerows((f"c{each}", f"c{each}-ann", at) for each in range(ACCOUNTS) if active(each, day))
    return folder


def lost_list(folder: Path, name: str, losses: dict[int, int]) -> Path:
    path = folder / name
    lines = [f"c{account},{FIRST + timedelta(days=day)}" for account, day in losses.items()]
    path.write_text("\n".join(["account,date", *lines]) + "\n")
    return path


def run(*words: str, rc: int = 0) -> subprocess.CompletedProcess[str]:
    command = command_line("backtest", *words)
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=170)
    assert ran.returncode == rc, ran.stderr
    return ran


def given(folder: Path, lost: Path) -> list[str]:
    kept = str(folder / "kept")
    return [str(folder / "events.csv.gz"), "--outcomes", str(lost), "--keep", kept, "--draws", "5", "--short", "--fit"]


def model_in(path: Path) -> Model:
    return load_scoring(ScorerSettings(TIDEMARK_SCORER_MODEL=path))[1]


def test_a_list_that_use_foretells_gives_a_model_that_tells_a_percentage(folder: Path) -> None:
    true = {account: day for account in range(LOST) if (day := lost_on(account)) is not None}
    path, report = folder / "model.yaml", folder / "report.md"
    words = [*given(folder, lost_list(folder, "lost.csv", true)), "--write", str(path), "--markdown", str(report)]

    ran = run(*words)

    assert "forecasts accounts that it was not fitted on better than the shipped coefficients" in ran.stdout
    assert f"wrote {path}: start the scorers with TIDEMARK_SCORER_MODEL={path}" in ran.stdout
    model, shipped = model_in(path), model_in(DEFAULT_MODEL)
    assert model.risk is not None
    assert model.risk.fit is not None
    assert shipped.risk is not None
    assert (model.risk.fit.predicts, model.risk.fit.losses) == ("loss", 25)
    assert sum(row.account_weeks for row in model.risk.fit.calibration) == model.risk.fit.account_weeks
    assert "Fitted by `tidemark backtest --fit` on events, 2024-" in model.risk.origin
    assert (model.measures, model.stages) == (shipped.measures, shipped.stages)
    assert path.read_text().startswith(DEFAULT_MODEL.read_text().partition("# How")[0])  # with its comments
    assert "### Calibration of the fitted risk" in report.read_text()


def test_losses_that_nothing_foretells_are_refused_with_the_figures_and_nothing_is_written(folder: Path) -> None:
    chance = random.Random(2)
    by_lot = {account: chance.randrange(130, DAYS - 10) for account in range(LOST, ACCOUNTS - 6)}
    path = folder / "by-lot.yaml"

    ran = run(*given(folder, lost_list(folder, "by-lot.csv", by_lot)), "--write", str(path), rc=1)

    assert "does not stand, so there is no percentage: " in ran.stdout
    assert "tidemark: nothing was fitted that stands (" in ran.stderr
    assert "(log loss 0." in ran.stderr  # each reason has its figures
    assert "losses" in ran.stderr.splitlines()[-1]  # and what would help stands last
    assert not path.exists()


def test_too_few_losses_are_refused_with_how_many_more_are_needed(folder: Path) -> None:
    ran = run(*given(folder, lost_list(folder, "few.csv", {2: 152, 5: 185, 9: 229})), rc=1)

    assert "losses can be used, and 20 are needed: " in ran.stderr
    assert "--target collapse takes falls in use instead" in ran.stderr


@pytest.mark.parametrize(
    ("words", "says", "ends_with"),
    [
        (("--write", "m.yaml"), "--target and --write belong to --fit", 2),
        (("--fit", "--target", "loss"), "--target loss needs the list of lost customers: give --outcomes", 2),
        (("--fit", "--generated", "1"), "--fit takes one history", 2),
        (("--fit", "--write", "nowhere/m.yaml"), "cannot be written: there is no folder", 2),
        (("--fit", "--write", "events.csv.gz"), "is there already and is no model file", 2),
    ],
)
def test_what_cannot_be_fitted_or_written_is_refused_before_any_work(
    folder: Path, words: tuple[str, ...], says: str, ends_with: int
) -> None:
    lost = [str(folder / word) if word.endswith((".yaml", ".gz")) else word for word in words]

    ran = run_tool("backtest", str(folder / "events.csv.gz"), *lost)

    assert ran.returncode == ends_with
    assert says in ran.stderr
