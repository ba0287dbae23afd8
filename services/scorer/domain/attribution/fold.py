"""
The fold of one lane of usage-unattributed: whose account an event belongs to, decided by this log alone.

An event goes to the account that its user had when it happened; to the lane of the person that its user turned out to be;
or it waits until somebody says, within bounds. What somebody says later changes what is decided from then on, and what
waits, never what was forwarded. Nothing raises on account of what a record says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xxhash import xxh64_intdigest

from services.scorer.domain.attribution.membership import (
    NAMES,
    NO_ACCOUNT,
    OPERATOR,
    Belongs,
    Decision,
    IsKnownAs,
    KnownUser,
    Waits,
    authority_of,
    rank_of,
)
from services.scorer.domain.attribution.outcome import Forward, Link, Move, Unresolved
from services.scorer.domain.attribution.state import USER_BYTES, AttributionState
from services.scorer.domain.attribution.waiting import Waiting, WaitingBounds
from services.shared.units import HOUR_MS

MOST_FORWARDS = 4
"""How often a record moves from user to user."""
PRODUCTION = "production"
STEP_EVENTS = 250
STEP_BYTES = 1 << 20
"""What one step of long work lets go at most, but for a single larger event."""


class AttributionFold:
    """
    Fold the records of one lane, in their order.

    `at` is the time of a record, milliseconds since 1970 UTC: the smaller of the broker's append time and its writer's own.
    `value` is its bytes, `offset` its place in the log. Records of a drive (an epoch) move no time here: what they bring is
    of the past, and waits by the time at which it came.
    """

    def __init__(
        self, duplicate_ids: int, bounds: WaitingBounds, most_users: int, user_bytes: int = USER_BYTES
    ) -> None:
        """Make an empty lane."""
        self.state = AttributionState(duplicate_ids, bounds, most_users, user_bytes)

    @property
    def overdue(self) -> int | None:
        """Log time at which the next event has waited for long enough, if that is over; None: it is not, or none waits."""
        due = self.state.waiting.due()
        return due if due is not None and due <= self.state.clock.now else None

    def event(self, event: Mapping[str, Any], at: int, offset: int, value: bytes) -> None:
        """Fold a usage event without an account."""
        self._move(at, live=event["epoch"] == 0)
        self._apply(event, offset, value)

    def link(self, link: Mapping[str, Any], at: int, step: int) -> Iterator[None] | None:
        """Fold what a call says about a user."""
        state = self.state
        if not step:
            self._move(at, live=link["epoch"] == 0)
            state.ledger.links += 1
            if link["environment"] != PRODUCTION or not self._learn(link):
                state.ledger.links_ignored += 1
        if state.waiting.first_of(link["user"]) is not None:
            return self._decide_again([link["user"]])
        return None

    def tick(self, tick: Mapping[str, Any], at: int, step: int) -> Iterator[None] | None:
        """Fold a tick: what has waited for long enough goes."""
        if not step:
            self.state.ledger.ticks += 1
            if tick["epoch"]:
                self.state.ledger.controls_ignored += 1
            else:
                # A worker whose clock is ahead knows no more than others of what was read: not beyond when its tick came.
                self.state.clock.settled = max(self.state.clock.settled, min(tick["settled"], at))
            self._move(at, live=tick["epoch"] == 0)
        return self._let_go() if self._in_vain() else None

    def clock(self, record: Mapping[str, Any], at: int, step: int) -> Iterator[None] | None:
        """Fold a clock record: the answer to a step that was too long."""
        state = self.state
        if not step:
            state.moved = True
            state.ledger.clocks += 1
            if record["mode"] == "ACCEPT":
                state.clock.accepted = max(state.clock.accepted, at)
                if state.clock.now:
                    asked = state.clock.asked
                    self._move(at, live=True)
                    if asked and not state.clock.asked:
                        state.waiting.go_on(state.clock.now)
            elif record["mode"] == "REFUSE":
                state.clock.asked = 0
            else:
                state.ledger.controls_ignored += 1
        return self._let_go() if self._in_vain() else None

    def aliases(self, record: Mapping[str, Any], step: int) -> Iterator[None] | None:
        """Fold a new table of aliases; who belonged to an alias belongs to its account from now on."""
        state = self.state
        if not step:
            state.moved = state.aliases_moved = True
            state.ledger.aliases += 1
            state.aliases = dict(record["aliases"])
        return self._decide_again(state.waiting.users()) if len(state.waiting) else None

    def _move(self, at: int, *, live: bool) -> None:
        state = self.state
        state.moved = True
        if not live and state.clock.now:
            return
        asked = state.clock.asked
        moved = state.clock.move(at)
        if moved:
            state.ids.roll(state.clock.now // HOUR_MS)
        elif moved is None:
            state.ledger.steps_refused += 1
            if not asked:
                state.waiting.hold()

    # events

    def _apply(self, event: Mapping[str, Any], offset: int, value: bytes) -> None:
        state = self.state
        ledger = state.ledger
        name = event["user"]
        # With the number of forwards: what an operator has sent in again is no repeat of what was given up.
        identity = f"{event['source']}\0{name}\0{event['event_id']}\0{event['forwards']}"
        environment = event["environment"]
        if environment != PRODUCTION:  # a copy of production has its ids
            identity += f"\0{environment}"
        if state.ids.seen(xxh64_intdigest(identity.encode())):
            ledger.duplicates += 1
            return
        if environment != PRODUCTION:
            ledger.non_production += 1
            return
        user = state.users.get(name)
        decision: Decision = NO_ACCOUNT
        internal = event["internal"]
        if user is not None:
            if not event["forwards"] and internal != user.internal and event["identified"]:
                user.internal = internal  # as ingest sees it now
                state.users.put(name, user, state.day)
            else:
                state.users.touch(name, user, state.day)
            internal = internal or user.internal
            decision = user.decide(event["occurred_at"], state.aliases)
        if isinstance(decision, Waits):
            # Nobody is to be told about an unknown visitor, nor about staff.
            waits = Waiting(
                name, event["identified"] and not internal, event["authority"] == "SERVER", state.clock.now,
                event["occurred_at"], offset, event["forwards"], value,
            )  # fmt: skip
            for gone in state.waiting.add(waits):
                self._give_up(gone, expired=False)
        else:
            self._let_through(decision, internal, value, event["forwards"], offset, event)

    def _let_through(
        self,
        decision: Belongs | IsKnownAs,
        internal: bool,
        value: bytes,
        forwards: int,
        offset: int,
        event: Mapping[str, Any] | None = None,
    ) -> None:
        state = self.state
        if isinstance(decision, Belongs):
            if decision.via == "DOMAIN":
                state.ledger.forwarded_domain += 1
            elif decision.via == "OPERATOR":
                state.ledger.forwarded_operator += 1
            else:
                state.ledger.forwarded_user += 1
            state.outcomes.append(Forward(value, decision.account, decision.via, internal, event))
        elif forwards >= MOST_FORWARDS:
            state.ledger.too_many_forwards += 1
            state.outcomes.append(Unresolved("too_many_forwards", value, offset, state.clock.now))
        else:
            state.ledger.moved += 1
            state.outcomes.append(Move(value, decision.user, internal or decision.internal, event))

    def _give_up(self, event: Waiting, *, expired: bool) -> None:
        state = self.state
        kind = ("expired_" if expired else "evicted_") + ("identified" if event.identified else "anonymous")
        setattr(state.ledger, kind, getattr(state.ledger, kind) + 1)
        if event.identified:
            user = state.users.get(event.user)
            decision = user.decide(event.occurred_at, state.aliases) if user is not None else NO_ACCOUNT
            reason = decision.reason if isinstance(decision, Waits) else NO_ACCOUNT.reason
            state.outcomes.append(Unresolved(reason, event.value, event.offset, state.clock.now))

    def _in_vain(self) -> bool:
        due = self.state.waiting.due()
        return due is not None and due <= self.state.clock.certain

    def _let_go(self) -> Iterator[None]:
        """Give up what has waited for long enough, in steps."""
        state = self.state
        events = size = 0
        while (event := state.waiting.overdue(state.clock.certain)) is not None:
            state.moved = True
            self._give_up(event, expired=True)
            events, size = events + 1, size + len(event.value)
            if events >= STEP_EVENTS or size >= STEP_BYTES:
                events = size = 0
                yield

    def _decide_again(self, users: list[str]) -> Iterator[None]:
        """Decide again about what waits of some users; in steps."""
        state = self.state
        events = size = 0
        for name in users:
            user = state.users.get(name)
            while user is not None and (event := state.waiting.first_of(name)) is not None:
                decision = user.decide(event.occurred_at, state.aliases)
                if isinstance(decision, Waits):  # then the others of the user wait too
                    break
                state.moved = True
                state.waiting.take_first_of(name)
                self._let_through(decision, user.internal, event.value, event.forwards, event.offset)
                events, size = events + 1, size + len(event.value)
                if events >= STEP_EVENTS or size >= STEP_BYTES:
                    events = size = 0
                    yield

    # links

    def _learn(self, link: Mapping[str, Any]) -> bool:
        """Take in what a link says; return False if it is ignored."""
        state = self.state
        name = link["user"]
        authority = authority_of(link["authority"])
        kind = link["kind"]
        if kind == "FORGOTTEN":
            return authority == OPERATOR and state.users.forget(name)
        user = state.users.get(name)
        if user is None:
            user = KnownUser(identified=link["identified"])
        user.identified = user.identified or link["identified"]
        internal = user.internal
        if kind in ("MEMBER", "NAMED") and authority != OPERATOR:
            user.internal = link["internal"] or (internal and link["forwards"] > 0)
        if kind == "SAME":
            taken = self._same(user, link, authority)
        elif kind == "WITHDRAWN":
            taken = authority == OPERATOR and user.withdraw()
        elif authority <= user.same_authority:
            said = {**link, "internal": user.same_internal}
            self._move_link(said, user.same)
            if kind == "NAMED":
                self._merge(said, user.same, [state.aliases.get(link["account"], link["account"])])
            taken = True
        elif kind == "MEMBER":
            taken = user.join(link["account"], link["occurred_at"], rank_of(authority, link["via"]))
        else:
            taken = user.name(link["account"], authority)
        if taken or user.internal != internal:  # of somebody new a call that says so is always taken
            state.users.put(name, user, state.day)
        return taken

    def _same(self, user: KnownUser, link: Mapping[str, Any], authority: int) -> bool:
        """Take in that a user is the same person as another; what is known of their accounts goes along."""
        known_as = link["known_as"]
        if known_as == link["user"]:
            return False
        again = user.same == known_as
        if not user.become(known_as, link["occurred_at"], authority, internal=link["internal"]):
            return False
        if again:  # all that was known has gone along
            return True
        self._merge(link, known_as, user.accounts(self.state.aliases))
        via = "EVENT" if user.rank & 1 else "DOMAIN"
        for stay in user.stays:
            for at in sorted({stay.since, stay.last}):
                said = {"kind": "MEMBER", "account": stay.account, "occurred_at": at, "via": via}
                self._move_link({**link, **said, "authority": NAMES[user.authority]}, known_as)
        for account in user.named:
            said = {"kind": "NAMED", "account": account, "via": "EVENT", "authority": NAMES[user.named_authority]}
            self._move_link({**link, **said}, known_as)
        user.forget_accounts()
        return True

    def _move_link(self, link: Mapping[str, Any], known_as: str) -> None:
        state = self.state
        if link["forwards"] >= MOST_FORWARDS:
            state.ledger.links_lost += 1
            return
        state.ledger.links_moved += 1
        moved = {**link, "user": known_as, "identified": True, "known_as": "", "forwards": link["forwards"] + 1}
        state.outcomes.append(Link(moved, to_account=False))

    def _merge(self, link: Mapping[str, Any], known_as: str, accounts: list[str]) -> None:
        """Tell accounts that two people are one."""
        state = self.state
        for account in accounts:
            state.ledger.merges += 1
            said = {"kind": "SAME", "account": account, "known_as": known_as, "via": "UNKNOWN"}
            state.outcomes.append(Link({**link, **said, "forwards": link["forwards"] + 1}, to_account=True))
