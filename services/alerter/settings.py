"""Settings of the alerter beyond those that every process has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.alerter.rule_files import SHIPPED_RULES
from services.shared.settings import Settings


class AlerterSettings(Settings):
    """Which rules are in force."""

    rules_dir: Path = Field(SHIPPED_RULES, validation_alias="TIDEMARK_RULES_DIR")
    """Folder with one YAML file per rule; by default the rules that come with Tidemark."""
    rules_overrides: Path | None = Field(None, validation_alias="TIDEMARK_RULES_OVERRIDES")
    """YAML file that overrides fields of rules, by rule id, and may add rules."""
