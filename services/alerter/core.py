"""
The alerter's lane: snapshots of account-health in, signals out, for one partition.

It keeps the state of each account as bytes: small for the many that are quiet, and equal bytes mean that nothing has
to be written. What a fold does to it is done in one go at its end, so a fold that fails changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schemas import codec
from services.alerter.domain.folding import fold_snapshot, open_episodes
from services.alerter.domain.rules import RuleSet
from services.alerter.domain.stages.emit import Signal
from services.alerter.domain.state_format import decode_state
from services.alerter.metrics import AlerterMetrics
from services.shared.engine.core import Append, Output, SourceRecord, StateChange
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Poison, UnknownVersion

SOURCE = "account-health"
CHANGELOG = "alerter-account-health-state"
STORE = "state"
OPEN = "open-signals"
DEAD_LETTERS = "usage-rejected"
TOPICS = {"RISK": "risk-signals", "EXPANSION": "expansion-signals"}

ORIGINAL_LIMIT = 1_000_000
"""Bytes of an original that a dead letter keeps; its topic takes twice as much."""

_encode_signal = codec.encoder("signal")
_encode_dead_letter = codec.encoder("dead_letter")


class AlerterCore:
    """Judge the snapshots of one partition."""

    def __init__(self, rules: RuleSet, metrics: AlerterMetrics, partition: int) -> None:
        """Take the rules in force, and the instruments that say what came out of them."""
        self._rules = rules
        self._metrics = metrics
        self._partition = partition
        self._states: dict[bytes, bytes] = {}
        self._changed: dict[bytes, None] = {}
        self._outputs: list[Output] = []
        self._signals: list[Signal] = []
        self._open = 0

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """
        Take back the state of one account.

        Raises:
            IncompatibleState: it was written in a format newer than this code reads.
        """
        del store  # there is one
        self._open += open_episodes(decode_state(value))
        self._states[key] = value

    def opened(self) -> Iterable[Append]:
        """Finish the restore."""
        self._metrics.open_episodes(self._partition, self._open)
        return ()

    def decode(self, record: SourceRecord) -> Mapping[str, Any]:
        """
        Read one snapshot.

        Raises:
            Poison: it is no snapshot of account health, or not one of the account in its key.
            UnknownVersion: it is in a schema that this version does not know.
        """
        if record.value is None:
            raise Poison("no_value", detail="account-health holds a record without a value")
        try:
            name, snapshot = codec.decode(record.value)
        except codec.UnknownSchema as error:
            raise UnknownVersion(str(error)) from error
        except codec.CodecError as error:
            raise Poison("undecodable", detail=str(error)) from error
        if name != "account_health":
            raise Poison("wrong_record", detail=f"account-health holds a record of {name}")
        if record.key != snapshot["account"].encode():
            raise Poison("wrong_key", "account", "the key of the record is not its account")
        if snapshot["at"] <= 0:
            raise Poison("wrong_time", "at", "the log time of a snapshot must be after 1970")
        return snapshot

    def fold(self, offset: int, item: Mapping[str, Any], step: int) -> None:
        """Judge one snapshot; it is short work, so never in steps."""
        del offset, step
        key = item["account"].encode()
        before = self._states.get(key)
        folded = fold_snapshot(self._rules, before, item)
        outputs = [output for signal in folded.signals for output in _outputs(key, signal)]
        self._outputs += outputs
        self._signals += folded.signals
        self._open += folded.opened
        self._metrics.evaluated()
        if folded.state == before:
            return
        self._changed[key] = None
        if folded.state is None:
            del self._states[key]
        else:
            self._states[key] = folded.state

    def take_outputs(self) -> list[Output]:
        """Return and forget the outputs since the last call, in order; count what they say."""
        outputs, self._outputs = self._outputs, []
        for signal in self._signals:
            self._metrics.signal(signal)
        self._signals = []
        self._metrics.open_episodes(self._partition, self._open)
        return outputs

    def take_changes(self) -> Iterable[StateChange]:
        """Return and forget the accounts whose state changed, by key."""
        changed, self._changed = sorted(self._changed), {}
        return [StateChange(STORE, key, self._states.get(key)) for key in changed]

    def take_appends(self) -> list[Append]:
        """Return nothing: all that the alerter writes is in its transactions."""
        return []

    @property
    def urgent(self) -> bool:
        """Whether a signal waits to go out; nobody waits for those of the past."""
        return not all(signal["historical"] for signal in self._signals)


def _outputs(account: bytes, signal: Signal) -> Iterable[Output]:
    data = _encode_signal(signal)
    yield Output(TOPICS[signal["category"]], account, data)
    yield Output(OPEN, signal["episode_id"].encode(), None if signal["transition"] == "RESOLVED" else data)


def dead_letter(record: SourceRecord, poison: Poison) -> Output:
    """Put a record aside that can never be judged. Its time is left out: only records that decode carry one."""
    original = record.value or b""
    value = {
        "rejected_at": 0,
        "by": "alerter",
        "reason": poison.reason,
        "field": poison.field,
        "detail": poison.detail,
        "account": (record.key or b"").decode("utf-8", "replace"),
        "origin": f"{record.topic}/{record.partition}/{record.offset}",
        "original": original[:ORIGINAL_LIMIT],
        "original_size": len(original),
        "original_sha256": hashlib.sha256(original).hexdigest(),
    }
    return Output(DEAD_LETTERS, record.key or b"alerter", _encode_dead_letter(value))


def alerter_lanes(rules: RuleSet, metrics: AlerterMetrics) -> LaneSpec:
    """Declare the lanes of the alerter: one for each partition of account-health."""
    core: Callable[[int], AlerterCore] = lambda partition: AlerterCore(rules, metrics, partition)  # noqa: E731 - typed
    return LaneSpec(SOURCE, SourceMode.TRANSACTIONAL, {STORE: CHANGELOG}, core, dead_letter)
