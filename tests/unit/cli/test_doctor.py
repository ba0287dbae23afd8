"""The doctor says what is accepted and yet takes no effect."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
import yaml
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from typer.testing import CliRunner

from schemas.measures import MEASURES
from services.alerter.rule_files import SHIPPED_RULES
from services.cli import account_aliases
from services.cli.commands import accounts, doctor
from services.cli.examining import cluster, configurations, effects, machine, running
from services.cli.examining.findings import Finding
from services.cli.local import readiness, write_keys
from services.ingest.domain.accounts import AccountBook, read_accounts
from services.ingest.metrics import IngestMetrics
from services.scorer.settings import DEFAULT_MODEL
from services.shared.http.server import listener, ops_routes
from services.shared.ports import PORTS
from tests.support.plans import default_without, fact_traits


def test_the_default_plan_lets_every_measure_be_taken_but_those_of_features_and_roles_that_only_the_product_knows() -> (
    None
):
    assert effects.measures() == (
        f"{len(MEASURES) - 5} of {len(MEASURES)} can be taken; "
        "the tracking plan declares no people.features, people.roles, so these are not: "
        "features_used_28, features_dropped, core_features_unused, deep_people_28, roles_gone; "
        "rules that can never fire: none"
    )


def test_measures_without_state_are_named_with_the_rules_that_they_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(default_without("cases.", "answers.")), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))

    said = effects.measures()

    assert "declares no answers.nps, cases.tickets" in said
    assert "tickets_open" in said
    assert said.endswith("rules that can never fire: nps_detractor, tickets_stuck")


def test_rules_that_go_without_a_guard_and_state_that_nothing_looks_at_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    shutil.copytree(SHIPPED_RULES, rules)
    (rules / "mine.yaml").write_text(
        (SHIPPED_RULES / "usage_decline.yaml").read_text().replace("id: usage_decline", "id: mine")
        .replace("unless:", "unless:\n  - {measure: tickets_open, above: 3}"),
        "utf-8",
    )  # fmt: skip
    plan = tmp_path / "plan.yaml"
    found = default_without("cases.", "facts.")
    found["group_traits"] = fact_traits(region=("text", "region"), seats=("whole_number", "seats"))
    plan.write_text(yaml.safe_dump(found), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))
    monkeypatch.setenv("TIDEMARK_RULES_DIR", str(rules))

    said = effects.measures()

    assert "mine goes without tickets_open" in said
    assert said.endswith("declared, and no measure looks at it: facts.region")


def test_a_risk_that_is_made_of_a_measure_without_state_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, file = tmp_path / "plan.yaml", tmp_path / "model.yaml"
    plan.write_text(yaml.safe_dump(default_without("cases.", "answers.")), "utf-8")
    model = yaml.safe_load(DEFAULT_MODEL.read_text("utf-8"))
    model["risk"]["terms"]["tickets_open"] = {"usual": 0, "weight": 1}
    model["risk"]["terms"]["age_days"]["fades"]["measure"] = "survey_mean"
    file.write_text(yaml.safe_dump(model), "utf-8")
    monkeypatch.setenv("TIDEMARK_TRACKING_PLAN", str(plan))
    monkeypatch.setenv("TIDEMARK_SCORER_MODEL", str(file))

    said = effects.measures()

    assert "the risk of no account is known, as the model makes it of tickets_open" in said
    assert "the risk's age_days adds nothing, as it fades by survey_mean" in said


NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where nothing runs and nothing is set; returns its data folder."""
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("TIDEMARK_PSEUDONYM_KEY", raising=False)
    monkeypatch.setattr(readiness, "PORTS", dict.fromkeys(PORTS, 1))
    for name in PORTS:
        monkeypatch.delenv(readiness.variable(name), raising=False)
    for look in ("java", "jars"):
        monkeypatch.setattr(machine, look, lambda: "")
    return tmp_path


@pytest.fixture
def others_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process that judges settings."""
    monkeypatch.setattr(configurations, "look", lambda _given: iter(()))


def serve(registry: CollectorRegistry | None = None, **options: Any) -> Iterator[str]:
    bound = listener("127.0.0.1", 0)
    app = Starlette(routes=ops_routes(registry or CollectorRegistry(), lambda: None, **options))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    bound.listen()  # who asks before the server has begun waits for it
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def ready_service() -> Iterator[str]:
    yield from serve()


@pytest.fixture
def frozen_service() -> Iterator[str]:
    """Takes connections and never answers, as a process does that was stopped."""
    bound = listener("127.0.0.1", 0)
    bound.listen()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    bound.close()


def found(data: Path) -> dict[str, Finding]:
    return {finding.what: finding for finding in doctor.examine(data)}


@pytest.mark.usefixtures("others_aside")
def test_services_that_are_stopped_or_frozen_are_findings_beside_one_that_answers(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, ready_service: str, frozen_service: str
) -> None:
    monkeypatch.setenv("TIDEMARK_INGEST_URL", ready_service + "/")
    monkeypatch.setenv("TIDEMARK_WAREHOUSE_URL", frozen_service)

    said = found(elsewhere)

    assert said["ingest ready"] == Finding("ingest ready", good=True, detail=ready_service)
    assert not said["warehouse ready"].good
    assert said["warehouse ready"].detail.startswith(f"it does not answer ({frozen_service})")
    assert not said["scorer ready"].good
    assert "set TIDEMARK_SCORER_URL if it runs elsewhere" in said["scorer ready"].detail
    assert said["clocks"].good
    assert said["files"].good
    assert "the cluster is not looked at" in said["stack"].detail


@pytest.fixture
def service_with_a_broken_file() -> Iterator[str]:
    yield from serve(unreadable=lambda: ["/etc/tidemark/write-keys.yaml"])


def test_a_file_that_a_ready_service_cannot_take_over_is_a_finding(service_with_a_broken_file: str) -> None:
    assert readiness.readiness(service_with_a_broken_file) is None
    with pytest.raises(OSError, match="ingest cannot take over /etc/tidemark/write-keys.yaml as it is now"):
        running.files({"ingest": service_with_a_broken_file})


ALIASES = "aliases: {crm-17: acme}"


@pytest.fixture
def ingest_with_aliases() -> Iterator[str]:
    """Ingest that has the aliases in force."""
    metrics = IngestMetrics(CollectorRegistry())
    metrics.accounts.labels(read_accounts(yaml.safe_load(ALIASES)).fingerprint).set(1)
    yield from serve(metrics.registry)


def test_ingest_that_has_other_accounts_in_force_than_the_file_of_this_shell_is_a_finding(
    tmp_path: Path, ingest_with_aliases: str
) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text(ALIASES)
    assert running.accounts(ingest_with_aliases, file) == f"ingest has these accounts in force, of {file}"

    file.write_text("aliases: {crm-17: globex}")
    with pytest.raises(OSError, match="ingest has other accounts in force than"):
        running.accounts(ingest_with_aliases, file)


@pytest.mark.parametrize(("account", "status", "said"), [("acme", 0, ""), ("globex", 1, "restart ingest with")])
def test_aliases_that_ingest_does_not_have_are_applied_and_that_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ingest_with_aliases: str,
    account: str,
    status: int,
    said: str,
) -> None:
    async def write(_kafka: object, book: AccountBook, _within: float) -> int:
        return len(book.aliases)

    file = tmp_path / "accounts.yaml"
    file.write_text(f"aliases: {{crm-17: {account}}}")
    monkeypatch.setattr(account_aliases, "apply", write)
    monkeypatch.setenv("TIDEMARK_INGEST_URL", ingest_with_aliases)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    app = typer.Typer()
    accounts.register(app)

    result = CliRunner().invoke(app, ["accounts", "apply", str(file), "--data", str(tmp_path)])

    assert "1 alias is in force" in result.stdout
    assert result.exit_code == status
    assert said in str(result.exception or "")


@pytest.mark.usefixtures("others_aside")
def test_where_nothing_runs_and_nothing_is_set_that_is_said_and_is_no_finding(elsewhere: Path) -> None:
    said = found(elsewhere)

    assert said["services"].good
    assert said["services"].detail == f"no service answers at {', '.join([NOWHERE] * len(PORTS))}"
    assert all(finding.good for finding in said.values())


@pytest.mark.usefixtures("others_aside", "elsewhere")
@pytest.mark.parametrize("made", [False, True])
def test_that_no_service_answers_is_a_finding_once_there_are_topics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    def look(_found: object, _ingest: str | None) -> Generator[Finding, None, bool]:
        yield Finding("topics", good=made, detail="")
        return made

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr(cluster, "look", look)

    said = found(tmp_path)["services"]

    assert said.good is not made
    assert said.detail.startswith("no service answers at ")
    assert ("start them" in said.detail and "TIDEMARK_INGEST_URL" in said.detail) is made


@pytest.mark.usefixtures("others_aside")
def test_an_address_that_was_set_and_does_not_answer_is_a_finding(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK_SCORER_URL", NOWHERE)

    assert not found(elsewhere)["services"].good


def test_services_are_asked_all_at_once_so_that_frozen_ones_cost_one_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(len(PORTS))

    def ask(_address: str, _pid: int | None = None) -> str:
        together.wait(timeout=30)
        return readiness.NO_ANSWER

    monkeypatch.setattr(readiness, "readiness", ask)

    assert set(readiness.ask_all(readiness.addresses()).values()) == {readiness.NO_ANSWER}


def judged_ingest(data: Path, monkeypatch: pytest.MonkeyPatch) -> Finding:
    """Judge the settings of ingest alone."""
    monkeypatch.setattr(configurations, "SERVICES", {"ingest": ""})
    monkeypatch.delenv("TIDEMARK_WRITE_KEYS_FILE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(doctor.__file__).parents[3]))
    monkeypatch.chdir(data)
    return found(data)["ingest"]


def test_a_machine_without_key_and_write_keys_is_told_who_makes_them(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = judged_ingest(elsewhere, monkeypatch)

    assert said.good, said.detail
    assert "but for TIDEMARK_PSEUDONYM_KEY and TIDEMARK_WRITE_KEYS_FILE: `tidemark dev` makes its own" in said.detail


def test_what_else_is_set_there_and_wrong_is_a_finding(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_WEBHOOKS_FILE", str(elsewhere / "none.yaml"))

    said = judged_ingest(elsewhere, monkeypatch)

    assert not said.good
    assert "TIDEMARK_WEBHOOKS_FILE" in said.detail
    assert "TIDEMARK_PSEUDONYM_KEY" not in said.detail


def test_ingest_is_judged_with_the_key_that_a_stopped_stack_keeps(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "pseudonym.key").write_text("ab" * 32 + "\n")
    write_keys.add(elsewhere / "write-keys.yaml", "app", "production", client="server")

    said = judged_ingest(elsewhere, monkeypatch)

    taken = "TIDEMARK_PSEUDONYM_KEY and TIDEMARK_WRITE_KEYS_FILE of `tidemark dev`"
    assert said.detail == f"the settings of this shell are good, with {taken}"


def test_a_deployment_without_a_pseudonym_key_is_a_finding_of_the_settings_of_this_shell(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    (elsewhere / "pseudonym.key").write_text("ab" * 32 + "\n")

    said = judged_ingest(elsewhere, monkeypatch)

    assert not said.good
    assert said.detail.startswith("the settings of this shell:\n")
    assert "TIDEMARK_PSEUDONYM_KEY: give 32 bytes" in said.detail


def test_a_variable_that_is_nearly_a_setting_is_a_finding_with_what_was_likely_meant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "TIDEMARK_RULES_OVERIDES",
        "KAFKA_BOOTSTRAP_SERVER",
        "TIDEMARK_WHATEVER_ELSE",
        "KAFKA_HOME",
        "TIDEMARK_SLOT",
        "TIDEMARK_SOAK",
        "TIDEMARK_SCORER_URL",
    ):
        monkeypatch.setenv(name, "1")

    assert [(found.good, found.detail) for found in configurations.misspelt()] == [
        (False, "KAFKA_BOOTSTRAP_SERVER is no setting, so it changes nothing: write KAFKA_BOOTSTRAP_SERVERS"),
        (False, "TIDEMARK_RULES_OVERIDES is no setting, so it changes nothing: write TIDEMARK_RULES_OVERRIDES"),
        (True, "TIDEMARK_WHATEVER_ELSE is no setting, so it changes nothing"),
    ]
