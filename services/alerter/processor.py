"""
The alerter's lane: snapshots of account-health in, signals out, for one partition.

It keeps the state of each account as bytes: none for the many that are quiet, and equal bytes mean that nothing has
to be written. A fold changes the state only at its end, all at once. So if judging a snapshot raises, nothing has changed:
the snapshot is dead-lettered, and neither its lane nor its account has to be stopped.

When the scorer has forgotten an account, its open signals are resolved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from schemas import codec
from schemas.topics import (
    ACCOUNT_HEALTH,
    ALERTER_ACCOUNT_HEALTH_STATE,
    DEAD_LETTERS,
    EXPANSION_SIGNALS,
    OPEN_SIGNALS,
    RISK_SIGNALS,
    TOPICS,
)
from services.alerter.domain.closing import ForgottenAccount
from services.alerter.domain.folding import Folded, fold_snapshot, forget_account, open_episodes
from services.alerter.domain.rules import RuleSet
from services.alerter.domain.stages.deduplicate import Reason
from services.alerter.domain.stages.emit import Signal
from services.alerter.domain.state_format import decode_state
from services.alerter.metrics import AlerterMetrics
from services.shared.dead_letters import DeadLetter
from services.shared.engine.processor import Append, Output, SourceRecord, StateChange
from services.shared.engine.spec import LaneSpec, SourceMode
from services.shared.errors import Poison, TidemarkError
from services.shared.source_records import decode, origin_of

log = logging.getLogger(__name__)

STORE = "state"
SIGNAL_TOPICS = {"RISK": RISK_SIGNALS, "EXPANSION": EXPANSION_SIGNALS}

_encode_signal = codec.encoder("signal")


class AlerterProcessor:
    """Judge the snapshots of one partition."""

    def __init__(self, rules: RuleSet, metrics: AlerterMetrics, partition: int) -> None:
        self._rules = rules
        self._metrics = metrics
        self._partition = partition
        self._states: dict[bytes, bytes] = {}
        self._changed: dict[bytes, None] = {}
        self._outputs: list[Output] = []
        self._signals: list[Signal] = []
        self._open = 0
        self._output_bytes = 0
        self._state_bytes = 0

    def restore(self, store: str, key: bytes, value: bytes) -> None:
        """
        Take back the state of one account.

        Raises:
            IncompatibleState: it is of another format than this code reads.
        """
        del store  # there is one
        self._open += open_episodes(decode_state(value))
        self._states[key] = value

    def opened(self) -> Iterable[Append]:
        """Finish the restore."""
        self._metrics.open_episodes(self._partition, self._open)
        return ()

    def decode(self, record: SourceRecord) -> Mapping[str, Any] | ForgottenAccount:
        """
        Read one snapshot, or that an account was forgotten.

        Raises:
            Poison: it is neither, or not of the account in its key.
            UnknownVersion: it is in a schema that this version does not know.
        """
        kind, value = decode(record, ("account_health", "account_forgotten"))
        if record.key != value["account"].encode():
            raise Poison("wrong_key", "account", "the key of the record is not its account")
        if value["at"] <= 0:
            raise Poison("wrong_time", "at", "the log time of a record must be after 1970")
        return value if kind == "account_health" else ForgottenAccount(**value)

    def fold(self, offset: int, item: Mapping[str, Any] | ForgottenAccount, step: int) -> None:
        """
        Judge one snapshot; it is short work, so never in steps.

        Raises:
            Poison: it cannot be judged; nothing was changed.
        """
        del step
        account = item.account if isinstance(item, ForgottenAccount) else item["account"]
        key = account.encode()
        before = self._states.get(key)
        try:
            folded = self._folded(before, item)
            outputs = [output for signal in folded.signals for output in _outputs(key, signal)]
        except (TidemarkError, OSError, MemoryError):
            raise
        except Exception as error:
            self._metrics.failed()
            log.exception("snapshot_cannot_be_judged", extra={"account": account, "offset": offset})
            raise Poison("cannot_be_judged", detail=f"{type(error).__name__}: {error}") from error
        self._outputs += outputs
        self._output_bytes += sum(len(output.key) + len(output.value or b"") for output in outputs)
        self._signals += folded.signals
        self._open += folded.opened
        if folded.state == before:
            return
        self._changed[key] = None
        self._state_bytes += len(key) + len(folded.state or b"")
        if folded.state is None:
            del self._states[key]
        else:
            self._states[key] = folded.state

    def _folded(self, before: bytes | None, item: Mapping[str, Any] | ForgottenAccount) -> Folded:
        if isinstance(item, ForgottenAccount):
            folded = forget_account(self._rules, before, item)
            self._metrics.forgotten()
        else:
            folded = fold_snapshot(self._rules, before, item)
            self._metrics.evaluated()
        return folded

    def take_outputs(self) -> list[Output]:
        """Return and forget the outputs since the last call, in order; count what they say."""
        outputs, self._outputs, self._output_bytes = self._outputs, [], 0
        for signal in self._signals:
            self._metrics.signal(signal)
        self._signals = []
        self._metrics.open_episodes(self._partition, self._open)
        return outputs

    def take_changes(self) -> Iterable[StateChange]:
        """Return and forget the accounts whose state changed, by key."""
        changed, self._changed, self._state_bytes = sorted(self._changed), {}, 0
        return [StateChange(STORE, key, self._states.get(key)) for key in changed]

    def take_appends(self) -> list[Append]:
        """Return nothing: all that the alerter writes is in its transactions."""
        return []

    @property
    def changed_bytes(self) -> int:
        """About how many bytes `take_outputs` and `take_changes` would give now; never less."""
        return self._output_bytes + self._state_bytes

    @property
    def urgent(self) -> bool:
        """Whether a signal waits to go out; nobody waits for those of the past and of forgotten accounts."""
        return any(
            not signal["historical"] and signal["resolved_reason"] != Reason.FORGOTTEN.value for signal in self._signals
        )


def _outputs(account: bytes, signal: Signal) -> Iterable[Output]:
    data = _encode_signal(signal)
    yield Output(SIGNAL_TOPICS[signal["category"]], account, data)
    yield Output(OPEN_SIGNALS, signal["episode_id"].encode(), None if signal["transition"] == "RESOLVED" else data)


def dead_letter(record: SourceRecord, poison: Poison) -> Output:
    """Return the dead letter of a record that can never be judged. It has no time: only records that decode carry one."""
    letter = DeadLetter(
        by="alerter",
        reason=poison.reason,
        field=poison.field,
        detail=poison.detail,
        original=record.value or b"",
        account=(record.key or b"").decode("utf-8", "replace"),
        origin=origin_of(record),
    )
    return Output(DEAD_LETTERS, letter.key, letter.encode())


def alerter_lanes(rules: RuleSet, metrics: AlerterMetrics) -> LaneSpec:
    """Declare the lanes of the alerter: one for each partition of account-health."""
    processor: Callable[[int], AlerterProcessor] = lambda partition: AlerterProcessor(rules, metrics, partition)  # noqa: E731 - typed
    return LaneSpec(
        ACCOUNT_HEALTH,
        SourceMode(TOPICS[ACCOUNT_HEALTH].read_as),
        {STORE: ALERTER_ACCOUNT_HEALTH_STATE},
        processor,
        dead_letter,
        outputs=(*SIGNAL_TOPICS.values(), OPEN_SIGNALS, DEAD_LETTERS),
    )
