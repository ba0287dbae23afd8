"""
From the plain data of a rule file to a Rule, collecting every problem with the path of its field.

Nothing is guessed: an unknown member, measure or placeholder is a problem, since a slip of the pen would otherwise
be a condition that never holds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from schemas.measures import MEASURES
from services.alerter.domain.conditions import AllOf, AnyOf, Comparison, Condition, Node
from services.alerter.domain.durations import DAY_MS, parse_duration
from services.alerter.domain.rules import (
    Category,
    Clearing,
    Escalation,
    EvidenceItem,
    Inhibition,
    Rule,
    RuleProblems,
    Severity,
    Text,
)
from services.alerter.domain.wording import PLACEHOLDERS, placeholders_in

DEFAULT_COOLDOWN = "28d"
DEFAULT_EXPIRY = "180d"

_RULE_MEMBERS = {
    "id", "category", "severity", "enabled", "fires", "for", "unless", "hold", "escalate", "clear", "cooldown",
    "expires", "inhibited_by", "text", "evidence",
}  # fmt: skip
_ID = re.compile(r"[a-z][a-z0-9_]{2,63}")
_NEVER = AnyOf(())

_E = TypeVar("_E", Severity, Category)


def read_rule(data: object) -> Rule:
    """
    Make a rule out of what a YAML file holds.

    Raises:
        RuleProblems: with every problem of the rule at once.
    """
    reader = _Reader()
    rule = reader.rule(data)
    if reader.problems:
        raise RuleProblems(reader.problems)
    return rule


class _Reader:
    """Reads one rule; each method notes problems and returns something usable, so that reading goes on."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def note(self, path: str, problem: str) -> None:
        self.problems.append(f"{path}: {problem}")

    def rule(self, data: object) -> Rule:
        if not isinstance(data, Mapping):
            self.note("rule", "must be a mapping")
            data = {}
        data = self.members(
            "", data, _RULE_MEMBERS, {"id", "category", "severity", "fires", "clear", "text", "evidence"}
        )
        rule_id = data.get("id", "")
        if not isinstance(rule_id, str) or not _ID.fullmatch(rule_id):
            self.note("id", "must be lower case letters, digits and underscores, 3 to 64 of them")
            rule_id = ""
        severity = self.choice("severity", data.get("severity"), Severity)
        text = self.text("text", data.get("text"))
        clear = self.clearing(data.get("clear"))
        cooldown = self.duration("cooldown", data.get("cooldown", DEFAULT_COOLDOWN))
        if cooldown < DAY_MS:
            self.note("cooldown", "must be at least 1d, else a signal can fire twice on one day")
        expires = self.duration("expires", data.get("expires", DEFAULT_EXPIRY))
        if expires < DAY_MS:
            self.note("expires", "must be at least 1d, else a signal ends with the next snapshot of its account")
        enabled = data.get("enabled", True)
        if not isinstance(enabled, bool):
            self.note("enabled", "must be true or false")
        return Rule(
            id=rule_id,
            category=self.choice("category", data.get("category"), Category),
            severity=severity,
            enabled=bool(enabled),
            fires=self.node("fires", data.get("fires")),
            for_ms=self.duration("for", data.get("for", "0m")),
            unless=self.nodes("unless", data.get("unless", [])),
            hold=self.nodes("hold", data.get("hold", [])),
            escalations=self.escalations(data.get("escalate", []), severity, text),
            clear=clear,
            cooldown_ms=cooldown,
            expires_ms=expires,
            inhibited_by=self.inhibition(data.get("inhibited_by", {})),
            text=text,
            recovered=self.template("text.recovered", self.member(data.get("text"), "recovered")),
            evidence=self.evidence(data.get("evidence")),
        )

    def members(self, path: str, data: Mapping[Any, Any], known: set[str], required: set[str]) -> dict[Any, Any]:
        """Return the members that hold anything; one that was left empty would otherwise be a condition that never holds."""
        prefix = f"{path}." if path else ""
        for name in sorted(map(str, data.keys() - known)):
            self.note(f"{prefix}{name}", f"is not known here; known are {', '.join(sorted(known))}")
        for name in sorted(required - data.keys()):
            self.note(f"{prefix}{name}", "is missing")
        for name in sorted(name for name in known & data.keys() if data[name] is None):
            self.note(f"{prefix}{name}", "is left empty")
        return {name: value for name, value in data.items() if value is not None}

    def member(self, data: object, name: str) -> object:
        return data.get(name) if isinstance(data, Mapping) else None

    def choice(self, path: str, value: object, kind: type[_E]) -> _E:
        names = [str(each.name).lower() for each in kind]
        if isinstance(value, str) and value in names:
            return kind[value.upper()]
        if value is not None:
            self.note(path, f"must be one of {', '.join(names)}")
        return next(iter(kind))

    def duration(self, path: str, value: object) -> int:
        try:
            return parse_duration(value if isinstance(value, str) else repr(value))
        except ValueError as error:
            self.note(path, str(error))
            return DAY_MS

    def each(self, path: str, value: object, read: Callable[[str, Any], Any]) -> tuple[Any, ...]:
        if not isinstance(value, list):
            self.note(path, "must be a list")
            return ()
        for index, item in enumerate(value):
            if item is None:
                self.note(f"{path}[{index}]", "is left empty")
        return tuple(read(f"{path}[{index}]", item) for index, item in enumerate(value) if item is not None)

    def nodes(self, path: str, value: object) -> tuple[Node, ...]:
        return self.each(path, value, self.node)

    def node(self, path: str, value: object) -> Node:
        if value is None:
            return _NEVER
        if not isinstance(value, Mapping):
            self.note(path, "must be a mapping with any, all or measure")
            return _NEVER
        for word, kind in (("any", AnyOf), ("all", AllOf)):
            if word in value:
                parts = self.nodes(f"{path}.{word}", self.members(path, value, {word}, set()).get(word, []))
                if not parts:
                    self.note(f"{path}.{word}", "must hold at least one condition")
                return kind(parts)
        return self.condition(path, value)

    def condition(self, path: str, value: Mapping[Any, Any]) -> Node:
        words = {each.value for each in Comparison}
        value = self.members(path, value, {"measure", *words}, {"measure"})
        given = sorted(words & value.keys())
        if len(given) != 1:
            self.note(path, f"must make exactly one comparison of {', '.join(sorted(words))}")
            return _NEVER
        measure = value.get("measure", "")
        self.measure(f"{path}.measure", measure)
        comparison, bound = Comparison(given[0]), value[given[0]]
        where = f"{path}.{given[0]}"
        if comparison is Comparison.KNOWN:
            if not isinstance(bound, bool):
                self.note(where, "must be true or false")
        elif isinstance(bound, str):
            self.measure(where, bound)
        elif isinstance(bound, bool) or not isinstance(bound, int | float):
            self.note(where, "must be a number or the name of a measure")
        elif not abs(bound) <= sys.float_info.max:
            self.note(where, "must be a finite number")
        else:
            bound = float(bound)
        return Condition(str(measure), comparison, bound)

    def measure(self, path: str, name: object) -> str:
        if not isinstance(name, str) or name not in MEASURES:
            self.note(path, f"there is no measure {name!r}")
        return str(name)

    def clearing(self, value: object) -> Clearing:
        if not isinstance(value, Mapping):
            if value is not None:
                self.note("clear", "must be a mapping")
            return Clearing(_NEVER, 0)
        value = self.members("clear", value, {"when", "for"}, {"when"})
        return Clearing(self.node("clear.when", value.get("when")), self.duration("clear.for", value.get("for", "0m")))

    def escalations(self, value: object, severity: Severity, text: Text) -> tuple[Escalation, ...]:
        def read(path: str, item: object) -> Escalation:
            if not isinstance(item, Mapping):
                self.note(path, "must be a mapping")
                item = {}
            known = {"severity", "when", "for", "title", "summary", "action"}
            item = self.members(path, item, known, {"severity", "when"})
            higher = self.choice(f"{path}.severity", item.get("severity"), Severity)
            if higher <= severity:
                self.note(f"{path}.severity", "must be higher than the severity of the rule")
            texts = {
                name: self.template(f"{path}.{name}", item[name]) if name in item else getattr(text, name)
                for name in ("title", "summary", "action")
            }
            return Escalation(
                higher,
                self.node(f"{path}.when", item.get("when")),
                self.duration(f"{path}.for", item.get("for", "0m")),
                Text(**texts),
            )

        found: tuple[Escalation, ...] = self.each("escalate", value, read)
        for index, step in enumerate(found):
            first = next(number for number, other in enumerate(found) if other.severity == step.severity)
            if step.text != found[first].text:  # what is open has a severity, and its texts go by that
                self.note(f"escalate[{index}]", f"must read as escalate[{first}] does, which has the same severity")
        return found

    def inhibition(self, value: object) -> Inhibition:
        if not isinstance(value, Mapping):
            self.note("inhibited_by", "must be a mapping")
            return Inhibition()
        value = self.members("inhibited_by", value, {"rules", "categories", "after"}, set())
        rules = self.each("inhibited_by.rules", value.get("rules", []), lambda _path, item: str(item))
        categories = self.each(
            "inhibited_by.categories",
            value.get("categories", []),
            lambda path, item: self.choice(path, item, Category),
        )
        after = self.duration("inhibited_by.after", value.get("after", "0m"))
        return Inhibition(frozenset(rules), frozenset(categories), after)

    def text(self, path: str, value: object) -> Text:
        if not isinstance(value, Mapping):
            if value is not None:
                self.note(path, "must be a mapping")
            return Text("", "", "")
        parts = {"title", "summary", "action"}
        value = self.members(path, value, parts | {"recovered"}, parts | {"recovered"})
        return Text(**{name: self.template(f"{path}.{name}", value.get(name)) for name in sorted(parts)})

    def template(self, path: str, value: object) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.note(path, "must be a text")
            return ""
        try:
            unknown = sorted(placeholders_in(value) - PLACEHOLDERS)
        except ValueError as error:
            self.note(path, f"is not a template: {error}")
            return ""
        for name in unknown:
            self.note(path, f"there is no measure or text {name!r} to fill in")
        return " ".join(value.split())

    def evidence(self, value: object) -> tuple[EvidenceItem, ...]:
        def read(path: str, item: object) -> EvidenceItem:
            if not isinstance(item, Mapping):
                self.note(path, "must be a mapping")
                return EvidenceItem("")
            item = self.members(path, item, {"measure", "usual"}, {"measure"})
            usual = item.get("usual")
            return EvidenceItem(
                self.measure(f"{path}.measure", item.get("measure")),
                None if usual is None else self.measure(f"{path}.usual", usual),
            )

        return () if value is None else self.each("evidence", value, read)
