"""
Conditions of rules: comparisons of a measure with a number or another measure, joined by any and all.

They are data, not an expression language: each part has a name, is checked when the rules are read, and can be shown
to people as it stands.
"""

from __future__ import annotations

import zlib
from collections.abc import Container
from enum import Enum
from functools import lru_cache
from typing import TypeAlias

import msgspec

from services.alerter.domain.measures import Measures


class Comparison(Enum):
    """The comparisons that a condition may make; `known` asks whether there is a value at all."""

    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    EQUALS = "equals"
    KNOWN = "known"


_BELOW, _AT_MOST, _ABOVE = Comparison.BELOW, Comparison.AT_MOST, Comparison.ABOVE
_AT_LEAST, _KNOWN = Comparison.AT_LEAST, Comparison.KNOWN


class Condition(msgspec.Struct, frozen=True, tag="condition"):
    """One comparison; `bound` is a number, the name of a measure, or for `known` a truth value."""

    measure: str
    comparison: Comparison
    bound: float | str | bool


class AnyOf(msgspec.Struct, frozen=True, tag="any"):
    """Holds where one of its parts does."""

    parts: tuple[Node, ...]


class AllOf(msgspec.Struct, frozen=True, tag="all"):
    """Holds where all of its parts do."""

    parts: tuple[Node, ...]


Node: TypeAlias = Condition | AnyOf | AllOf


def holds(node: Node, measures: Measures) -> bool:
    """Return whether the node holds; a comparison with an unknown value does not."""
    if isinstance(node, Condition):
        return _compares(node, measures)
    either = isinstance(node, AnyOf)
    for part in node.parts:  # not any() and all(): every rule of every snapshot comes through here, and this takes half
        if holds(part, measures) is either:
            return either
    return not either


def _compares(condition: Condition, measures: Measures) -> bool:
    value, comparison, given = measures.get(condition.measure), condition.comparison, condition.bound
    if comparison is _KNOWN:
        return (value is not None) == given
    bound = measures.get(given) if isinstance(given, str) else given
    if value is None or bound is None:
        return False
    if comparison is _BELOW:
        return value < bound
    if comparison is _AT_MOST:
        return value <= bound
    if comparison is _ABOVE:
        return value > bound
    if comparison is _AT_LEAST:
        return value >= bound
    return value == bound


def may_hold(node: Node, known: Container[str]) -> bool:
    """Return whether the node can ever hold where only these measures are known."""
    if isinstance(node, AnyOf):
        return any(may_hold(part, known) for part in node.parts)
    if isinstance(node, AllOf):
        return all(may_hold(part, known) for part in node.parts)
    if node.comparison is Comparison.KNOWN:
        return node.bound is False or node.measure in known
    return node.measure in known and (not isinstance(node.bound, str) or node.bound in known)


def measures_in(node: Node) -> frozenset[str]:
    """Return the names of all measures that the node looks at."""
    if isinstance(node, Condition):
        bound = {node.bound} if isinstance(node.bound, str) else set()
        return frozenset({node.measure} | bound)
    return frozenset().union(*(measures_in(part) for part in node.parts))


def decides_alike(node: Node, measures: Measures, name: str, other: float) -> bool:
    """Return whether each comparison of a measure comes out as it does, where the measure has another value."""
    if isinstance(node, Condition):
        return node.measure != name or _compares(node, measures) is _compares(node, {**measures, name: other})
    return all(decides_alike(part, measures, name, other) for part in node.parts)


@lru_cache(maxsize=1024)
def mark_of(node: Node) -> int:
    """Return a number of 32 bits that stands for this condition in a state: the same in every process and release."""
    return zlib.crc32(msgspec.json.encode(node))
