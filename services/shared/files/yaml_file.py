"""Files that people write in YAML: what is wrong is told with its line, and a name that is given twice is refused."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from services.shared.files import quick_yaml


def read_yaml(path: Path) -> Any:
    """
    Return what a YAML file holds; an empty one an empty mapping.

    Raises:
        ValueError: it cannot be read, is not YAML, or gives a name twice, of which one would be lost.
    """
    try:
        return parse_yaml(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.start - error.object.rfind(b"\n", 0, error.start)
        raise ValueError(f"line {line} is not UTF-8 (byte {byte} of the line): save it as UTF-8") from error


def parse_yaml(text: str) -> Any:
    """
    Return what the text of a YAML file holds; that of an empty one an empty mapping.

    Raises:
        ValueError: it is not YAML, or gives a name twice, of which one would be lost.
    """
    try:
        found = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(_unreadable(error)) from error
    return {} if found is None else found


def _unreadable(error: Exception) -> str:
    """Say on one line where YAML breaks, and why."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"not YAML: {' '.join(str(error).split())}"
    return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', None) or 'cannot be read'}"


class _Loader(quick_yaml.SafeLoader):  # type: ignore[misc]  # one of two, by how PyYAML was built
    """Refuses a name that is there twice, of which YAML takes the last one, and says where a value cannot be read."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node; PyYAML lets whatever Python raises for it through, such as for 2026-02-30."""
        try:
            return super().construct_object(node, deep)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
            kind = node.tag.rpartition(":")[2].replace("timestamp", "date or time")
            raise yaml.constructor.ConstructorError(
                problem=f"this is no {kind}: correct it, or put it in quotes if it is text",
                problem_mark=node.start_mark,
            ) from error

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"{key.value} is there twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


def _refuse_tag(_: _Loader, node: yaml.Node) -> None:
    """Refuse a tag without quoting it: a secret that begins with an exclamation mark is one, unless it is quoted."""
    raise yaml.constructor.ConstructorError(
        problem="put a value that begins with ! in quotes", problem_mark=node.start_mark
    )


_Loader.add_constructor(None, _refuse_tag)
