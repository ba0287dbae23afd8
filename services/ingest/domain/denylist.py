"""
The tracking plan's denylist: what is dropped or hashed before anything else looks at an event, or writes it anywhere.

A path such as `card.number` goes from the top of properties, traits, context, and the traits in the context; a member that
is itself called `card.number` there is denied too. Names are compared without regard to case, those of the holders included.
Lists are looked through, also in the place of a holder: `items.email` is the email of each item.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import copy
from hashlib import sha256
from typing import Any

import msgspec

from services.shared.tracking_plan.plan import DenyPlan

PARSED_BYTES = 64 * 1024
"""The largest refused original that is parsed again to be kept; nothing is kept of a larger one."""
_HOLDERS = frozenset({"properties", "traits", "context"})
_OF_CALLS = frozenset({*_HOLDERS, "batch", "userId", "anonymousId", "messageId"})
_DEPTH = 64
_DROPPED = object()
_DIGEST = re.compile(r"[0-9a-f]{64}")
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder().decode

_Tree = dict[str, Any]
"""By name in lower case: True to hash, False to drop, or a tree of the names below."""


class Denylist:
    """The paths of a plan, ready to be applied. Nothing is changed in place: what is shared stays as it was."""

    __slots__ = ("_context", "_hash", "_tree")

    def __init__(self, deny: DenyPlan) -> None:
        """Take the paths that a checked plan denies."""
        self._tree: _Tree = {}
        self._hash: Callable[[Any], Any] = _hashed
        for path, hashed in (*((path, False) for path in deny.drop), *((path, True) for path in deny.hash)):
            *above, last = path.lower().split(".")
            at = self._tree
            for name in above:
                at = at.setdefault(name, {})
            at[last] = hashed
            self._tree[path.lower()] = hashed
        traits = self._tree.get("traits")
        self._context = {**self._tree, "traits": {**self._tree, **traits} if isinstance(traits, dict) else self._tree}
        if isinstance(traits, bool):
            self._context["traits"] = traits

    def of_cleaned(self) -> Denylist:
        """Return it for events that were cleaned before: what is a hash already is not hashed once more."""
        again = copy(self)
        again._hash = _hashed_once  # noqa: SLF001  a copy of itself
        return again

    def masked(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event without what is denied, hashed or not: what may be quoted. It may hold what no JSON can."""
        masking = copy(self)
        masking._hash = _nothing  # noqa: SLF001  a copy of itself
        return masking.clean(event)

    def __bool__(self) -> bool:
        """Return whether anything is denied."""
        return bool(self._tree)

    def clean(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event, or the envelope of a batch, without what is denied."""
        found = event
        if not self._tree:
            return event
        for name, value in event.items():
            holder = name.lower()
            if holder in _HOLDERS and (cleaned := self.clean_of(holder, value)) is not value:
                if found is event:
                    found = dict(event)
                found[name] = cleaned
        return found

    def clean_of(self, holder: str, value: Any) -> Any:
        """Return properties, traits or a context without what is denied; the same object if there is nothing of it."""
        return _cleaned(value, self._context if holder == "context" else self._tree, _DEPTH, self._hash)

    def clean_original(self, original: bytes) -> bytes:
        """
        Return what may be kept of an original that was refused: JSON without what is denied.

        Nothing of one that cannot be read, that is larger than is worth reading again, or that is no call or batch, such as
        a vendor's webhook: the paths say nothing of what is in there.
        """
        if len(original) > PARSED_BYTES:
            return b""
        try:
            value = _decode(original)
            if type(value) is not dict or _OF_CALLS.isdisjoint(value):
                return b""
            found = {name: self._clean_member(name.lower(), held) for name, held in self.clean(value).items()}
            return _encode(found)  # never the original itself: of a name that is there twice it has both values
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
            return b""

    def _clean_member(self, name: str, value: Any) -> Any:
        """Return a member of a body: what is a list there may be events, whatever the sender calls it."""
        if name in _HOLDERS:
            return value
        if type(value) is list:
            return [self.clean(each) if type(each) is dict else None if name == "batch" else each for each in value]
        return self.clean(value) if name == "batch" and type(value) is dict else value


def _cleaned(value: Any, tree: _Tree, depth: int, hash_of: Callable[[Any], Any]) -> Any:
    """Return a value without what the tree denies below it; deeper than `depth` there is nothing that is taken."""
    if type(value) is list:
        if not depth:
            return None
        items = [_cleaned(item, tree, depth - 1, hash_of) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if type(value) is not dict:
        return value
    found = value
    for name, held in value.items():
        action = tree.get(name.lower())
        if action is None:
            continue
        new = hash_of(held) if action is True else _cleaned(held, action, depth - 1, hash_of) if action else _DROPPED
        if new is held:
            continue
        if found is value:
            found = dict(value)
        if new is _DROPPED:
            del found[name]
        else:
            found[name] = new
    return found


def _nothing(_value: Any) -> None:
    return None


def _hashed_once(value: Any) -> Any:
    if type(value) is list:
        return [_hashed_once(item) for item in value]
    return value if type(value) is str and _DIGEST.fullmatch(value) else _hashed(value)


def _hashed(value: Any) -> Any:
    """Return the SHA-256 of a value: of text without blanks around it and in lower case, as others hash addresses."""
    if value is None:
        return None
    if type(value) is list:
        return [_hashed(item) for item in value]
    content = value.strip().lower().encode("utf-8", "surrogatepass") if type(value) is str else _encode(value)
    return sha256(content).hexdigest()
