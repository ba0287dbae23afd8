"""
What the alerter remembers of one account, and its bytes on the changelog.

The bytes are MessagePack of [format, rules]; `format` says how `rules` is laid out, and no other than this one is read.
Rules about which there is nothing to remember are left out, so that a quiet account costs nothing at all. A rule costs 10
bytes, its name, 9 for each time that is not zero and 14 for each escalation that holds: an account with two open episodes
is about 140 bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from services.shared.errors import IncompatibleState

FORMAT = 2


class RuleState(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where one rule stands for one account. Log times in milliseconds; 0 for none."""

    pending_since: int = 0
    """Since when it would fire."""
    clear_since: int = 0
    """Since when an open episode would clear."""
    started_at: int = 0
    """Start of the open episode; 0 where none is open."""
    severity: int = 0
    """That of the open episode, else of the last one."""
    transitions: int = 0
    """How many transitions the open episode has had."""
    resolved_at: int = 0
    """End of the last episode: its cooldown counts from here."""
    category: int = 0
    """That of the open episode: it must be resolved on the right topic even after its rule is gone."""
    inhibited_at: int = 0
    """When another signal last kept it back."""
    expired_while_firing: bool = False
    """An episode expired with its cause still there: stays quiet until the cause has been gone once."""
    rising: list[int] = msgspec.field(default_factory=list)
    """For each condition of an escalation that holds, its mark (`mark_of`), and behind it, since when."""

    @property
    def open(self) -> bool:
        """Whether an episode is open."""
        return self.started_at > 0


AccountState = dict[str, RuleState]
"""By rule id."""

_EMPTY = RuleState()
_decode_header = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode
_decode_rules = msgspec.msgpack.Decoder(dict[str, RuleState]).decode
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def encode_state(state: AccountState) -> bytes | None:
    """Return the bytes of a state, equal for equal states, or None where there is nothing to remember."""
    rules: dict[str, Any] = {rule: value for rule, value in state.items() if value != _EMPTY}
    return _encode((FORMAT, rules)) if rules else None


def decode_state(data: bytes) -> AccountState:
    """
    Read the bytes of a state.

    Raises:
        IncompatibleState: they are of another format, or no state at all.
    """
    try:
        version, raw = _decode_header(data)
        if version == FORMAT:
            return _decode_rules(raw)
    except msgspec.MsgspecError as error:
        msg = f"these bytes are no state of the alerter: {error}"
        raise IncompatibleState(msg) from error
    msg = f"state of the alerter is in format {version}, this version reads {FORMAT}: install the one that wrote it"
    raise IncompatibleState(msg)
