"""
Reads the rules in force: one YAML file a rule, and an optional file of overrides by rule id.

All problems of all files are reported at once, each with its file and field. A rule file is never half used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.alerter.domain.rule_reading import read_rule
from services.alerter.domain.rules import Rule, RuleProblems, RuleSet, rule_set
from services.shared.errors import ConfigurationError
from services.shared.files.yaml_file import read_yaml

SHIPPED_RULES = Path(__file__).parent / "rules"

_MERGED = frozenset({"text", "clear", "inhibited_by"})
"""Members of a rule of which an override may name a part."""


def load_rules(directory: Path = SHIPPED_RULES, overrides: Path | None = None) -> RuleSet:
    """
    Read every *.yaml of a directory, lay the overrides over it, and put the rules in order.

    An override names members of a rule and their new values; of text, clear and inhibited_by also parts of them. One of a rule
    that the directory does not have, and that says when it fires, is a rule beside the others.

    Raises:
        ConfigurationError: with every problem of every file.
    """
    problems: list[str] = []
    changes = {} if overrides is None else _overrides(overrides, problems)
    rules: list[Rule] = []
    seen: set[str] = set()
    paths = sorted(directory.glob("*.yaml")) if directory.is_dir() else []
    if not paths:
        problems.append(f"{directory}: there is no rule file (*.yaml) here")
    problems += _passed_over(directory, overrides)
    for path in paths:
        data = _read(path, problems)
        if data is None:
            continue
        rule_id, where = data.get("id"), str(path)
        if isinstance(rule_id, str):
            seen.add(rule_id)
        if isinstance(rule_id, str) and rule_id in changes:
            where = f"{path}, changed by {overrides}"
            data = _merged(data, changes[rule_id])
        _add(rules, data, where, problems)
    for name in sorted(changes.keys() - seen):
        if "fires" in changes[name]:
            _add(rules, {**changes[name], "id": name}, f"{overrides}: {name}", problems)
        else:
            problems.append(f"{overrides}: {name}: there is no such rule; a new one must say when it fires")
    if problems:
        raise ConfigurationError(problems)
    try:
        return rule_set(rules)
    except RuleProblems as error:
        where = str(directory) if overrides is None else f"{directory}, changed by {overrides}"
        raise ConfigurationError([f"{where}: {problem}" for problem in error.problems]) from error


def _add(rules: list[Rule], data: Mapping[str, Any], where: str, problems: list[str]) -> None:
    try:
        rules.append(read_rule(data))
    except RuleProblems as error:
        problems += [f"{where}: {problem}" for problem in error.problems]


def _passed_over(directory: Path, overrides: Path | None) -> list[str]:
    """Return a problem for each file that was meant to be a rule and is not read as one."""
    others = [path for path in directory.glob("*") if path.suffix.lower() in {".yml", ".yaml"}]
    return [
        f"{path}: is not read, since the name of a rule file ends with .yaml; rename it, or move it elsewhere"
        for path in sorted(others)
        if path.suffix != ".yaml" and (overrides is None or path.resolve() != overrides.resolve())
    ]


def _read(path: Path, problems: list[str]) -> dict[str, Any] | None:
    try:
        data = read_yaml(path)
    except ValueError as error:
        problems.append(f"{path}: cannot be read: {' '.join(str(error).split())}")
        return None
    if not isinstance(data, dict):
        problems.append(f"{path}: must be a mapping")
        return None
    return data


def _overrides(path: Path, problems: list[str]) -> dict[str, Mapping[str, Any]]:
    data = _read(path, problems) or {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, change in data.items():
        if isinstance(change, Mapping) and "id" not in change:
            found[str(name)] = change
        else:
            problems.append(f"{path}: {name}: must be a mapping of members of the rule, other than id")
    return found


def _merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in change.items():
        before = merged.get(name)
        if name in _MERGED and isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged
