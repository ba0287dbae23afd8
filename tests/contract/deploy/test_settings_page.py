"""The page of settings is what the classes read, and operators find there what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.cli.pages.settings import SECTIONS, meanings, names, page
from services.shared import exit_status
from services.shared.process.unknown_settings import NAMES_FILE
from services.shared.settings import Settings

ROOT = Path(__file__).parents[3]
KINDS = [kind for kinds in SECTIONS.values() for kind in kinds]


def test_the_page_is_what_the_classes_read() -> None:
    assert (ROOT / "docs/settings.md").read_text("utf-8") == page(), "run: python -m services.cli.pages.settings"


def test_the_names_that_services_know_are_those_of_the_page() -> None:
    """A variable that is none of them is told as one that changes nothing."""
    assert NAMES_FILE.read_text("utf-8") == names(), "run: python -m services.cli.pages.settings"


def test_every_kind_of_settings_is_on_the_page() -> None:
    direct = Settings.__subclasses__()
    kinds = [*direct, *(each for kind in direct for each in kind.__subclasses__())]
    ours = {kind for kind in kinds if kind.__module__.startswith("services.")}

    assert ours == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_setting_has_words(kind: type[Settings]) -> None:
    inherited = {name for base in kind.__mro__[1:] if base in KINDS for name in base.model_fields}

    assert kind.model_fields.keys() - meanings(kind).keys() - inherited == set()


def test_the_page_about_operating_names_only_settings_that_exist() -> None:
    known = set(re.findall(r"`([A-Z][A-Z_]+)`", page()))
    named = set(
        re.findall(r"\b(?:TIDEMARK|KAFKA|CLICKHOUSE)_[A-Z_]+[A-Z]\b", (ROOT / "docs/operating.md").read_text("utf-8"))
    )

    assert named - known == set()


def test_every_exit_status_is_in_the_document() -> None:
    text = (ROOT / "docs/errors.md").read_text("utf-8")
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}

    assert listed >= {value for name, value in vars(exit_status).items() if name.isupper()}
