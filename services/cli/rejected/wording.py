"""
Dead letters in words.

Originals and what was said of them come from outside: characters that a terminal would act on are shown, not sent to it.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from schemas import codec
from services.cli.rejected.letters import Letter
from services.cli.rejected.overview import Group, Line
from services.cli.rejected.tally import Plan, ReplayTally
from services.cli.terminal import on_one_line, printable
from services.shared.counts import counted
from services.shared.units import written_time

_MOST_UNPACKED = 4 * 1024 * 1024
_JSON_TEXT = ("properties", "extra", "details", "traits", "context")
"""Fields of our records that hold JSON as text."""


def group_in_words(group: Group) -> Iterator[str]:
    """Yield two lines about a group: how many, of what and when; and what was said of the newest."""
    replayed = f", {group.replayed:,} replayed" if group.replayed else ""
    of = f"by {group.by}" + (f" from {group.source}" if group.source else "")
    times = (
        written_time(group.first)
        if group.first == group.last
        else f"{written_time(group.first)} to {written_time(group.last)}"
    )
    yield on_one_line(f"{group.count:>9,}  {group.reason} {of}, {times}{replayed}")
    yield on_one_line(f"{'':11}{group.example}")


def line_in_words(line: Line) -> str:
    """Return one letter in one line."""
    names = [f"{name} {value}" for name, value in (("account", line.account), ("id", line.event_id)) if value]
    marks = [mark for mark, is_so in (("cut", line.cut), ("replayed", line.replayed)) if is_so]
    what = ", ".join([f"{line.original_size:,} bytes", *names, *marks])
    why = ": ".join(part for part in (line.field, line.detail) if part)
    said = f"{written_time(line.at)}  {line.place}  {line.by} {line.reason} {line.source or '-'} ({what})  {why}"
    return on_one_line(said)


def whole(letter: Letter) -> dict[str, Any]:
    """Return everything about a letter, for JSON: the original decoded where it can be, else as text, else as base64."""
    value = {name: each for name, each in letter.value.items() if name not in ("original", "request")}
    form, original = opened(letter.original)
    return {
        "place": letter.place,
        "appended_at": letter.at,
        **value,
        "request": msgspec.to_builtins(letter.facts) if letter.facts else None,
        "cut": letter.cut,
        "original_form": form,
        "original": original,
    }


def letter_in_words(letter: Letter) -> Iterator[str]:
    """Yield lines that say everything about a letter."""
    told = whole(letter)
    for name in ("appended_at", "rejected_at"):
        told[name] = written_time(told[name]) if told[name] else ""
    original, form = told.pop("original"), told.pop("original_form")
    if told["request"] is not None:
        told["request"] = msgspec.json.encode(told["request"]).decode()
    del told["cut"]
    for name, each in told.items():
        if each not in ("", None):
            yield printable(f"{name:16} {each}")
    yield ""
    if letter.cut:
        yield f"original ({form}), cut: the first {len(letter.original):,} of {letter.value['original_size']:,} bytes"
    else:
        yield f"original ({form})"
    text = (
        original if isinstance(original, str) else msgspec.json.format(msgspec.json.encode(original), indent=2).decode()
    )
    yield from printable(text).split("\n")


def opened(original: bytes) -> tuple[str, Any]:
    """Return the form of an original and what it holds: a record of ours, JSON, text, or base64 of anything else."""
    try:
        record, value = codec.decode(original)
    except codec.CodecError:
        pass
    else:
        return f"record {record}", _builtins({name: _inner(name, each) for name, each in value.items()})
    form, plain = "", original
    if original[:2] == b"\x1f\x8b":
        form, plain = "gzip of ", _unpacked(original)
    try:
        return f"{form}JSON", msgspec.json.decode(plain)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
        pass
    try:
        return f"{form}text", plain.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(original).decode()


def plan_in_words(plan: Plan) -> Iterator[str]:
    """Yield lines that say what a replay would do."""
    through = plan.ways["event"] + plan.ways["body"]
    if through:
        sources = ", ".join(f"{count:,} of {source}" for source, count in sorted(plan.sources.items()))
        bodies = (
            f", {counted(plan.ways['body'], 'of them a whole body', 'of them whole bodies')}"
            if plan.ways["body"]
            else ""
        )
        yield printable(f"{counted(through, 'letter goes', 'letters go')} through ingest again{bodies} ({sources})")
    if plan.ways["record"]:
        again = (
            "record is appended again to the topic that it comes",
            "records are appended again to the topics that they come",
        )
        yield f"{counted(plan.ways['record'], *again)} from"
    yield from _left(plan.left)
    if not plan.total:
        yield "nothing to replay"


def tally_in_words(tally: ReplayTally) -> Iterator[str]:
    """Yield lines that say what a replay did."""
    unattributed = f", {tally.unattributed:,} of them without an account" if tally.unattributed else ""
    yield (
        f"{counted(tally.letters, 'letter')} replayed: {counted(tally.accepted, 'event')} accepted{unattributed}, "
        f"{counted(tally.appended, 'record')} appended again"
    )
    if tally.accepted or tally.appended:
        yield "  what the log had already is dropped as a repeat: `tidemark ledger` counts those"
    for code, refusal in sorted(tally.refused.items(), key=lambda each: -each[1].count):
        yield printable(f"{refusal.count:,} refused again, {code}; for example {refusal.example}")
    yield from _left(tally.left)


def _left(left: dict[str, int]) -> Iterator[str]:
    for why, count in sorted(left.items(), key=lambda each: -each[1]):
        yield printable(f"{count:,} left: {why}")


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data, _MOST_UNPACKED)
    except zlib.error:
        return data


def _inner(name: str, value: Any) -> Any:
    if name in _JSON_TEXT and isinstance(value, str):
        try:
            return msgspec.json.decode(value)
        except msgspec.MsgspecError:
            return value
    return value


def _builtins(value: Any) -> Any:
    """Return a value that JSON can hold: bytes become text, as far as they are."""
    return msgspec.to_builtins(value, enc_hook=repr)
