"""`tidemark rules list | test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.shared.errors import WrongArgument

if TYPE_CHECKING:
    from services.alerter.domain.rules import RuleSet

RulesOption = Annotated[
    Path | None, typer.Option("--rules", help="Folder with rule files; by default that of TIDEMARK_RULES_DIR.")
]
OverridesOption = Annotated[
    Path | None,
    typer.Option(
        "--overrides", help="File that overrides fields of rules, or adds rules; by default TIDEMARK_RULES_OVERRIDES."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group `rules`."""
    group = typer.Typer(help="The signal rules, and tests of them.", no_args_is_help=True)
    group.command("list")(show)
    group.command("test")(play)
    app.add_typer(group, name="rules")


def show(rules: RulesOption = None, overrides: OverridesOption = None) -> None:
    """List the rules in the order in which they are evaluated."""
    found = _in_force(rules, overrides)
    for rule in found.ordered:
        state = "" if rule.enabled else " (off)"
        print(f"{rule.id:24}{rule.category.name.lower():11}{rule.severity.name.lower():9}{rule.text.title}{state}")
    print(f"version {found.version}")


def play(
    cases: Annotated[list[Path], typer.Argument(help="Case files, or folders of case files.", exists=True)],
    rules: RulesOption = None,
    overrides: OverridesOption = None,
) -> None:
    """Play cases through scorer and alerter; exit status 1 if the signals are not the expected ones."""
    from services.cli.rule_testing.cases import BadCase, read_case
    from services.cli.rule_testing.checks import check_case
    from services.cli.rule_testing.playing import differences, run_case
    from services.scorer.settings import ScorerSettings, load_scoring
    from services.shared.settings import load

    files = [file for given in cases for file in (_case_files(given) if given.is_dir() else [given])]
    if not files:
        raise WrongArgument(f"no case was played: there is no file *.yaml in {', '.join(map(str, cases))}")
    in_force = _in_force(rules, overrides)
    plan, model = load_scoring(load(ScorerSettings))
    bad = False
    for path in files:
        try:
            case = read_case(path)
            check_case(path, case, in_force, plan)
        except BadCase as error:
            bad = True
            print(f"FAILED  {error}")
            continue
        found = differences(case, run_case(case, in_force, plan, model))
        bad |= bool(found)
        print(f"{'FAILED' if found else 'ok':8}{path}: {case.about}")
        for line in found:
            print(f"        {line}")
    raise typer.Exit(int(bad))


def _case_files(folder: Path) -> list[Path]:
    """Return the case files of a folder; refuse one that would be passed over and taken for played."""
    others = sorted(
        path.name for path in folder.iterdir() if path.suffix.lower() in {".yml", ".yaml"} and path.suffix != ".yaml"
    )
    if others:
        raise WrongArgument(
            f"{folder / others[0]}: is not played, since the name of a case ends with .yaml; rename it, or move it elsewhere"
        )
    return sorted(folder.glob("*.yaml"))


def _in_force(rules: Path | None, overrides: Path | None) -> RuleSet:
    """Read the rules of the options, and where one is not given, those that the alerter would read."""
    from services.alerter.rule_files import load_rules
    from services.alerter.settings import AlerterSettings
    from services.shared.settings import load

    settings = load(AlerterSettings)
    return load_rules(rules or settings.rules_dir, overrides or settings.rules_overrides)
