"""Every service tells all that is wrong with its configuration at once, and starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.commands.services import SERVICES
from tests.support.commands import run_tool
from tests.support.keys import entry

WRONG = {
    "KAFKA_BOOTSTRAP_SERVERS": "nowhere",
    "TIDEMARK_PARTITIONS": "many",
    "TIDEMARK_HTTP_PORT": "-1",
    "TIDEMARK_LOG_LEVEL": "LOUD",
}


def good(folder: Path) -> dict[str, str]:
    """Return variables that are right, with no broker in reach: a configuration is looked at, not tried."""
    keys = folder / "write-keys.yaml"
    keys.write_text(entry("k", "web"))
    return {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "TIDEMARK_WRITE_KEYS_FILE": str(keys),
        "TIDEMARK_DATA_DIR": str(folder),
    }


@pytest.mark.parametrize("service", SERVICES)
def test_all_errors_are_listed_at_once(service: str) -> None:
    """Each by the name of its variable."""
    done = run_tool(service, "--check-config", **WRONG)
    # a console of its own speaks HTTP alone
    mine = [name for name in WRONG if service != "console" or name in {"TIDEMARK_HTTP_PORT", "TIDEMARK_LOG_LEVEL"}]

    assert done.returncode == 2, done.stdout
    assert all(f"- {variable}: " in done.stderr for variable in mine), done.stderr


def test_files_are_looked_at_although_settings_are_wrong(tmp_path: Path) -> None:
    """What has to be mended is said in one go."""
    keys, plan = tmp_path / "write-keys.yaml", tmp_path / "plan.yaml"
    plan.write_text("events: 7\n")
    wrong = {
        "TIDEMARK_PSEUDONYM_KEY": "short",
        "TIDEMARK_INGEST_LINGER_MS": "-1",
        "TIDEMARK_WRITE_KEYS_FILE": str(keys),
        "TIDEMARK_TRACKING_PLAN": str(plan),
    }

    done = run_tool("ingest", "--check-config", **wrong)

    assert done.returncode == 2, done.stdout
    assert all(f"- {variable}" in done.stderr for variable in wrong), done.stderr
    assert f"{keys} is not there; `tidemark keys create --file {keys}` makes it" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_good_configuration_is_told_to_be_good(service: str, tmp_path: Path) -> None:
    done = run_tool(service, "--check-config", **good(tmp_path))

    assert done.returncode == 0, done.stderr
    assert "the configuration is good" in done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_a_variable_that_is_no_setting_is_named_in_a_warning_and_is_no_error(service: str, tmp_path: Path) -> None:
    done = run_tool(service, "--check-config", **good(tmp_path), TIDEMARK_SCORER_ACOUNTS="5")

    assert done.returncode == 0, done.stderr
    meant = "TIDEMARK_SCORER_ACOUNTS is no setting, so it changes nothing: write TIDEMARK_SCORER_ACCOUNTS"
    assert f"{service}: warning: {meant}\n" in done.stderr
