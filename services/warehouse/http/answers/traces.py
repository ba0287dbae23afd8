"""Shapes of what is told of the traces of a person or an account."""

from __future__ import annotations

from typing import TypedDict


class ErasureAnswer(TypedDict):
    """An order to erase, by its place on the log. `removed` is how many rows went or changed, by table, once it is `done`."""

    place: str
    at: int
    by: str
    done: bool
    removed: dict[str, int]


class TracesAnswer(TypedDict):
    """
    What is stored of one person or account.

    `pseudonyms` are those of the person, or of the people who are in no other account and of the browsers where only they signed
    in; `accounts` those in whose events the person is; `rows` how many there are, by table; `linked` further user ids of the
    person, whose pseudonyms are among them, and `others` those whose pseudonyms are not. `set_aside` are parts of tables into which
    no erasure reaches, and which may hold rows of anybody.
    """

    pseudonyms: list[str]
    accounts: list[str]
    rows: dict[str, int]
    others: list[str]
    linked: list[str]
    set_aside: list[str]
    erasures: list[ErasureAnswer]
