"""
One account's life once more: the records of its partition through the folds of scorer and alerter, in memory.

Events of other accounts are left out. They would move log time, but the ticks between them do so too, to within a minute;
nothing else of them reaches this account, since the fleet's factors are records of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from schemas import codec
from schemas.topics import ACCOUNT_HEALTH, DEAD_LETTERS, EXPANSION_SIGNALS, RISK_SIGNALS, USAGE_EVENTS
from services.alerter.domain.closing import ForgottenAccount
from services.alerter.domain.folding import open_measures
from services.alerter.domain.measures import Measures, measures_of
from services.alerter.domain.rules import RuleSet
from services.alerter.domain.state_format import AccountState, decode_state
from services.alerter.metrics import AlerterMetrics
from services.alerter.processor import AlerterProcessor
from services.scorer.domain.accounts.account import Account
from services.scorer.domain.health.model import Model
from services.scorer.domain.lane.clock import IDLE
from services.scorer.domain.lane.usage_fold import UsageFold
from services.scorer.usage_processor import UsageProcessor
from services.shared.engine.errors import Unanswered
from services.shared.engine.processor import SourceRecord
from services.shared.errors import Fatal, KeyFault, Poison, UnknownVersion
from services.shared.source_records import origin_of
from services.shared.tracking_plan.plan import TrackingPlan
from services.shared.units import DAY_MS

DUPLICATE_IDS = 200_000
"""Ids that are remembered, of one account."""
DRAIN_EVERY = 1_000
"""Records after which what would be written is taken, so that it does not gather."""


class Judgement(NamedTuple):
    """One snapshot of the account, and where its rules stand after it."""

    snapshot: dict[str, Any]
    measures: Measures
    states: AccountState

    def measures_for(self, rule: str) -> Measures:
        """Return the measures as a rule sees them: with what the account's other rules say."""
        return self.measures | open_measures(self.states, rule)


@dataclass(slots=True)
class Life:
    """What the records so far say."""

    judgements: list[Judgement] = field(default_factory=list)
    signals: list[dict[str, Any]] = field(default_factory=list)
    """All transitions, by time."""
    records: int = 0
    """Records of this account."""
    first_time: int = 0
    """The earliest log time, milliseconds since 1970 UTC; 0: there was no record."""
    left_out: list[str] = field(default_factory=list)
    """Records of the account that could not be applied, each with the reason."""
    forgotten: int = 0
    """When the scorer forgot it after its latest judgement, milliseconds since 1970 UTC; 0: it did not."""
    unread: str = ""
    """The record of an unknown schema with which it ends, and why; empty: there was none."""


class AccountReplay:
    """Folds the records of one account's partition in their order."""

    def __init__(self, account: str, plan: TrackingPlan, model: Model, rules: RuleSet) -> None:
        """Start before the first record."""
        self.account = account
        self.life = Life()
        self._key = account.encode()
        self._scorer = UsageProcessor(UsageFold(0, 1, plan, model, DUPLICATE_IDS))
        self._alerter = AlerterProcessor(rules, AlerterMetrics(CollectorRegistry()), 0)
        self._states: AccountState = {}
        self._asked: list[SourceRecord] = []
        """A record that moves log time by more than seven days, and those behind it, until somebody has answered."""
        self._folded = 0

    @property
    def log_time(self) -> int:
        """Log time, milliseconds since 1970 UTC."""
        return self._scorer.log_time

    @property
    def state(self) -> Account | None:
        """All that is remembered of the account now; None: it is not known, or was forgotten."""
        return self._scorer.state.accounts.get(self.account)

    @property
    def is_idle(self) -> bool:
        """Return whether every day before that of log time has been judged, of the accounts that are judged on it."""
        clock = self._scorer.state.clock
        return clock.pending < 0 and clock.phase == IDLE

    def wants(self, key: bytes | None) -> bool:
        """Return whether a record with this key matters: one of the account, or of all."""
        return key is None or key == self._key

    def take(self, record: SourceRecord) -> None:
        """
        Fold one record that is wanted; none behind one of an unknown schema, as the lane itself.

        Raises:
            Fatal: the account's day cannot be closed.
        """
        if self.life.unread:
            return
        if self._asked:
            self._asked.append(record)
            if self._scorer.is_answer(record):
                self._scorer.answered(record)
                waiting, self._asked = self._asked, []
                for each in waiting:
                    self.take(each)
            return
        if record.key is not None:
            self.life.records += 1
        try:
            item = self._scorer.decode(record)
            for _ in self._scorer.fold(record.offset, item, 0) or ():
                pass
        except Unanswered:
            self.life.records -= record.key is not None
            self._asked.append(record)
            return
        except UnknownVersion as unknown:
            self.life.records -= record.key is not None
            self.life.unread = f"{origin_of(record)}: {unknown.detail}"
            return
        except Poison as poison:
            self.life.left_out.append(f"{poison.reason}: {poison.detail}")
        except KeyFault as fault:
            raise Fatal(f"{self.account}: {fault.detail}") from fault
        # Not the first one that was read: a drive begins after the first ticks, and in the past.
        self.life.first_time = min(self.life.first_time or self.log_time, self.log_time)
        self._put_out()

    def _put_out(self) -> None:
        state = self._scorer.state
        self._folded += 1
        if self._folded % DRAIN_EVERY == 0:
            for _ in self._scorer.take_changes():
                pass
        if not state.outcomes:
            return
        for output in self._scorer.take_outputs():
            if output.topic == ACCOUNT_HEALTH:
                self._judge(output.value)
            elif output.topic == DEAD_LETTERS and output.value is not None:
                letter = codec.decode(output.value)[1]
                self.life.left_out.append(f"{letter['reason']}: {letter['detail']}")

    def _judge(self, value: bytes | None) -> None:
        record = SourceRecord(ACCOUNT_HEALTH, 0, len(self.life.judgements), self._key, value)
        item = self._alerter.decode(record)
        self._alerter.fold(record.offset, item, 0)
        for change in self._alerter.take_changes():
            self._states = decode_state(change.value) if change.value is not None else {}
        for output in self._alerter.take_outputs():
            if output.topic in {RISK_SIGNALS, EXPANSION_SIGNALS} and output.value is not None:
                self.life.signals.append(codec.decode(output.value)[1])
        if isinstance(item, ForgottenAccount):
            self.life.forgotten = item.at
        else:
            self.life.forgotten = 0
            self.life.judgements.append(Judgement(dict(item), measures_of(item), self._states))


def of_usage_events(partition: int, offset: int, key: bytes | None, value: bytes | None, at: int) -> SourceRecord:
    """Return a record of usage-events as its lane reads it."""
    return SourceRecord(USAGE_EVENTS, partition, offset, key, value, at)


def known_at_close(judgement: Judgement, day: int) -> bool:
    """Return whether a judgement knows nothing of what came after the close of a day."""
    judged = int(judgement.snapshot["day"])
    # one of the day after, before that has closed, has the same day, which is the last that has closed
    return judged < day or (judged == day and closes(judgement, day))


def closes(judgement: Judgement, day: int) -> bool:
    """Return whether a judgement is that of the close of a day, or of a later one."""
    return judgement.snapshot["reason"] == "DAY_CLOSE" and int(judgement.snapshot["day"]) >= day


def day_of(at: int) -> int:
    """Return the day of a log time, days since 1970 UTC."""
    return at // DAY_MS
