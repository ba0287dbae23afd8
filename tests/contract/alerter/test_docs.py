"""docs/signals.md and the shipped rules say the same."""

from __future__ import annotations

import re
from pathlib import Path

from services.alerter.domain.rules import Category
from services.alerter.rule_files import load_rules
from services.shared.units import DAY_MS


def test_each_signal_has_a_section_that_says_when_it_fires_clears_must_not_fire_and_what_to_do(
    project_root: Path,
) -> None:
    text = (project_root / "docs/signals.md").read_text("utf-8")
    sections = {part.split("\n", 1)[0]: part for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]}

    assert set(sections) == {rule.id for rule in load_rules().ordered}
    for section in sections.values():
        for word in ("**Fires**", "**Clears**", "**Must not fire**", "**What to do**"):
            assert word in section


def test_the_waiting_times_in_the_document_are_those_of_the_rules(project_root: Path) -> None:
    text = (project_root / "docs/signals.md").read_text("utf-8")
    for rule in load_rules().ordered:
        section = text.split(f"### {rule.id}\n", 1)[1].split("\n#", 1)[0]
        fires = " ".join(section.split("**Clears**")[0].split())
        if rule.for_ms:
            days = rule.for_ms // DAY_MS
            assert re.search(rf"For\s+{days} day", fires), rule.id
        else:
            assert " For " not in fires, rule.id
        for other in rule.inhibited_by.rules:
            assert f"`{other}`" in section, rule.id


def test_the_document_says_how_long_a_rule_stays_quiet_after_the_one_that_takes_its_place(project_root: Path) -> None:
    text = (project_root / "docs/signals.md").read_text("utf-8")
    overview = " ".join(text.split("- **Inhibited**", 1)[1].split("\n- **", 1)[0].split())
    usual = re.search(r"stay quiet for (\d+) more days", overview)
    assert usual
    for rule in load_rules().ordered:
        if not rule.inhibited_by.rules or rule.category is Category.EXPANSION:
            continue
        days = rule.inhibited_by.after_ms // DAY_MS
        assert f"`{rule.id}`" in overview, rule.id
        assert days == int(usual[1]) or f"`{rule.id}` for {days}" in overview, rule.id
