"""`tidemark backtest --fit`: checks what is asked before any work, fits, and writes a model or says why not."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from services.cli.output_files import write_whole
from services.shared.errors import TidemarkError, WrongArgument

if TYPE_CHECKING:
    from services.backtest.driving import Driven
    from services.backtest.report.contents import Section
    from services.backtest.words import Speech
    from services.scorer.domain.health.model import Model
    from services.shared.tracking_plan.plan import TrackingPlan


class Target(StrEnum):
    """What a fitted risk is the chance of."""

    COLLAPSE = "collapse"
    LOSS = "loss"


class RiskFitRefusedError(TidemarkError):
    """A fit that does not stand; nothing was written."""


@dataclass(frozen=True)
class RiskFitReport:
    """What there is to say about a fit."""

    headline: str
    sections: list[Section] = field(default_factory=list)
    refusal: str = ""
    """Why it does not stand; empty: it does."""
    model: str = ""
    """The text of a model file with it."""


@dataclass(frozen=True)
class RiskFitRequest:
    """What of `--fit`, `--target` and `--write` was given."""

    fit: bool
    target: Target | None
    write: Path | None

    def checked(self, plan: TrackingPlan, in_force: Path, *, listed: bool, histories: int) -> Target | None:
        """
        Return what is to be fitted, None: nothing is.

        Args:
            plan: What models are read with.
            in_force: The file of the model in force, of which a written one keeps all else.
            listed: Whether there is a list of lost customers.
            histories: How many are given, 0: one's own.

        Raises:
            WrongArgument: it cannot be, and there is no need to drive a history first.
        """
        if not self.fit:
            if self.target is not None or self.write is not None:
                raise WrongArgument("--target and --write belong to --fit: give it too")
            return None
        if histories > 1:
            raise WrongArgument(
                "--fit takes one history: give either a file, or one --generated, or neither for your own"
            )
        if self.target is Target.LOSS and not listed:
            raise WrongArgument(
                "--target loss needs the list of lost customers: give --outcomes lost.csv, or --target collapse"
            )
        if self.write is not None:
            _require_place(in_force, plan)
            _require_same_or_nothing(self.write, in_force, plan)
        return self.target or (Target.LOSS if listed else Target.COLLAPSE)

    def finish(self, report: RiskFitReport, say: Speech) -> None:
        """
        Write the model of a fit, in place of one that was there.

        Raises:
            RiskFitRefusedError: the fit does not stand.
        """
        if report.refusal:
            raise RiskFitRefusedError(report.refusal)
        if self.write is None:
            print(say("terminal.stands"))
            return
        write_whole(self.write, report.model.encode())
        print(say("terminal.wrote_model", file=self.write, path=self.write.absolute()))


def _require_place(in_force: Path, plan: TrackingPlan) -> None:
    """Check with the shipped section that the model in force can take another one."""
    from services.backtest.report.model_file import shipped_section

    try:
        _rewritten(in_force, shipped_section(), plan)
    except ValueError as error:
        raise WrongArgument(str(error)) from error


def _require_same_or_nothing(path: Path, in_force: Path, plan: TrackingPlan) -> None:
    from services.scorer.domain.health.model import read_model
    from services.shared.files.yaml_file import read_yaml

    if not path.exists():
        return
    try:
        there = read_model(read_yaml(path), plan)
    except (ValueError, AttributeError) as error:
        raise WrongArgument(f"{path} is there already and is no model file: give --write another name") from error
    if _but_risk(there) != _but_risk(read_model(read_yaml(in_force), plan)):
        raise WrongArgument(
            f"{path} is there already and differs from the model in force, {in_force}, in more than its risk, which would be "
            f"lost: set TIDEMARK_SCORER_MODEL={shlex.quote(str(path))} to fit for it, or give --write another name"
        )


def _rewritten(in_force: Path, section: str, plan: TrackingPlan) -> str:
    """
    Return the text of the model in force with another section `risk`, read as a scorer will read it.

    Raises:
        ValueError: it does not load, or differs in more than the risk; the message says what to do.
    """
    from services.backtest.report.model_file import with_section
    from services.scorer.domain.health.model import read_model
    from services.scorer.settings import DEFAULT_MODEL
    from services.shared.files.yaml_file import parse_yaml

    before = in_force.read_text("utf-8")
    try:
        after = with_section(before, section)
        same = _but_risk(read_model(parse_yaml(after), plan)) == _but_risk(read_model(parse_yaml(before), plan))
        why = "" if same else "more than the risk would change"
    except ValueError as error:
        why = str(error)
    if why:
        raise ValueError(
            f"{in_force} cannot be written with another risk ({why}): write it in lines like those of {DEFAULT_MODEL}, with "
            "`risk:` and what belongs to it in lines of their own"
        )
    return after


def _but_risk(model: Model) -> Model:
    import msgspec

    return msgspec.structs.replace(model, risk=None, fingerprint="")


def fit(
    driven: Driven,
    target: Target,
    plan: TrackingPlan,
    in_force: Path | None,
    say: Speech,
    *,
    least_base: float,
    draws: int,
) -> RiskFitReport:
    """Fit the risk on a driven history; `in_force` is the model of which a written one keeps all else, None: none is written."""
    from services.backtest.domain.risk_fit import TooFewLossesError
    from services.backtest.fitting import fit_history
    from services.backtest.report.model_file import risk_section
    from services.backtest.report.risk_fit import nothing_fitted, refusal, sections, too_few, verdict
    from services.scorer.domain.health.model import read_model
    from services.scorer.settings import DEFAULT_MODEL
    from services.shared.files.yaml_file import read_yaml

    shipped = read_model(read_yaml(DEFAULT_MODEL), plan).risk
    assert shipped is not None, "the model that comes with Tidemark has a risk"
    try:
        fitted = fit_history(driven, shipped, target.value, least_usual_week=least_base, draws=draws)
    except TooFewLossesError as error:
        return RiskFitReport(nothing_fitted(error, say), refusal=too_few(error, target is Target.LOSS, say))
    said, tables = verdict(fitted, say), [*sections(fitted, say)]
    if fitted.figures.against:
        return RiskFitReport(said, tables, refusal(fitted.figures, say))
    if in_force is None:
        return RiskFitReport(said, tables)
    try:
        return RiskFitReport(said, tables, model=_rewritten(in_force, risk_section(fitted), plan))
    except ValueError as error:
        return RiskFitReport(said, tables, str(error))
