"""The files that set the project up say what they must."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from schemas import released
from schemas.topics import TOPICS


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-setup.txt", "requirements-bench.txt"]
)
def test_lock_files_have_versions_and_hashes_and_no_addresses(project_root: Path, name: str) -> None:
    """Whoever installs decides where from; the hash decides what."""
    text = (project_root / name).read_text()

    pinned = re.findall(r"^[a-z0-9._\[\]-]+==\S+", text, flags=re.MULTILINE | re.IGNORECASE)
    assert pinned
    assert "://" not in text
    assert all(f"{pin}" in text and "--hash=sha256:" in text.split(pin, 1)[1][:400] for pin in pinned)


def test_jars_and_go_modules_are_locked_without_addresses(project_root: Path) -> None:
    """The same holds for the broker's jars, and for what the tests of real clients need."""
    for lock in ("deploy/kafka/jars.lock", "tests/clients/segment_java/jars.lock", "tests/clients/segment_go/go.sum"):
        assert "://" not in (project_root / lock).read_text()


def test_the_node_packages_are_locked_by_exact_version_and_hash_without_addresses(project_root: Path) -> None:
    """The same holds for what tests run with Node; the addresses that a package gives for donations may stay."""
    asked = json.loads((project_root / "tests/node/package.json").read_text())["dependencies"]
    locked = json.loads((project_root / "tests/node/package-lock.json").read_text())["packages"]

    assert locked.pop("")["dependencies"] == asked
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in asked.values())
    assert [name for name, package in locked.items() if "resolved" in package or "integrity" not in package] == []


def test_every_dependency_is_in_the_lock(project_root: Path) -> None:
    """A dependency that was added without `make lock` would be missing on other machines."""
    project = tomllib.loads((project_root / "pyproject.toml").read_text())
    names = {
        re.split(r"[\[><=~; ]", requirement)[0].lower()
        for requirement in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"])
    }
    locked = set(re.findall(r"^([a-z0-9._-]+)", (project_root / "requirements-dev.txt").read_text(), re.MULTILINE))

    assert names - locked == set()


def test_every_task_that_contributing_names_exists(project_root: Path) -> None:
    """Documents that name a task which is gone send people astray."""
    text = (project_root / "CONTRIBUTING.md").read_text() + (project_root / "README.md").read_text()
    makefile = (project_root / "Makefile").read_text()

    for task in set(re.findall(r"`?make ([a-z-]+)", text)):
        if task in {"and", "alone"}:
            continue
        assert re.search(rf"^{task}:", makefile, re.MULTILINE), task


def test_every_decision_has_its_number_and_its_three_parts(project_root: Path) -> None:
    """A reader of one page knows where to look in all of them; the first page says so itself."""
    pages = sorted((project_root / "docs/adr").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]

    assert len(set(numbers)) == len(numbers) > 30
    for number, page in zip(numbers, pages, strict=True):
        text = page.read_text()
        assert text.startswith(f"# {number}. "), page.name
        parts = [part for part in re.findall(r"^## (.+)$", text, re.MULTILINE) if part != "Rejected"]
        assert number == 1 or parts == ["Context", "Decision", "Consequences"], page.name


def test_no_file_holds_the_markers_of_a_merge(project_root: Path) -> None:
    """Documents are not compiled: a conflict that was committed shows nowhere else."""
    files = [
        file
        for folder in ("docs", "services", "schemas", "tests", "deploy", ".github", ".ci")
        for file in (project_root / folder).rglob("*")
        if file.suffix in {".md", ".py", ".yaml", ".yml", ".json", ".sql", ".avsc"}
    ]
    marked = [file for file in files if re.search(r"^(<{7}|>{7}) ", file.read_text("utf-8"), re.MULTILINE)]

    assert files
    assert marked == []


def test_no_two_classes_of_the_services_have_one_name(project_root: Path) -> None:
    """One word per notion: who searches for a class finds one."""
    names = [
        name
        for file in (project_root / "services").rglob("*.py")
        for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE)
    ]

    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_topic_name_stands_as_a_literal_in_the_services(project_root: Path) -> None:
    """They come from schemas.topics. Two names are also those of records, and are passed over."""
    names = TOPICS.keys() - set(released.RECORDS)
    tables = project_root / "services/warehouse/domain/rows.py"  # says which topic fills which table
    literals = [
        f"{file.relative_to(project_root)}:{node.lineno}"
        for file in (project_root / "services").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in names and file != tables
    ]

    assert literals == []


def test_every_reason_for_which_a_lane_writes_a_dead_letter_is_on_the_page_of_errors(project_root: Path) -> None:
    page = (project_root / "docs/errors.md").read_text("utf-8")
    reasons = {
        reason
        for file in (project_root / "services").rglob("*.py")
        for reason in re.findall(r'\bPoison\(\s*"(\w+)"', file.read_text())
    }

    assert "fold_raised" in reasons
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
