"""
What an installation says about account ids: which stand for another account, and which e-mail domains are an account's.

Pure: `read_accounts` takes what the YAML file holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from xxhash import xxh64_hexdigest

from services.shared.files.expected_types import type_problem_of

FREE_MAIL = frozenset(
    """
    126.com 139.com 163.com aol.com bellsouth.net bigpond.com btinternet.com comcast.net cox.net daum.net duck.com
    fastmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com hanmail.net
    hey.com hotmail.co.uk hotmail.com hotmail.de hotmail.es hotmail.fr hotmail.it icloud.com inbox.ru interia.pl
    laposte.net libero.it list.ru live.com live.de live.nl mac.com mail.com mail.ru me.com msn.com naver.com o2.pl
    orange.fr outlook.com outlook.de outlook.fr pm.me posteo.de proton.me protonmail.com qq.com rediffmail.com
    rocketmail.com sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com t-online.de telenet.be tuta.io tutanota.com uol.com.br
    verizon.net virgilio.it wanadoo.fr web.de wp.pl yahoo.ca yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br
    yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com yandex.ru ymail.com ziggo.nl zoho.com
    """.split()  # noqa: SIM905 - a table is easier to read and to add to than quotes
)
"""The largest providers that give an address to anybody: none is the domain of one account."""
_DOMAIN = re.compile(r"(?=.{3,253}\Z)[a-z0-9-]+(\.[a-z0-9-]+)+")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    aliases: dict[str, str] = {}
    domains: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class AccountBook:
    """The aliases and domains of the accounts."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    """The account, by alias."""
    domains: Mapping[str, str] = field(default_factory=dict)
    """The account, by e-mail domain in small letters."""

    @property
    def fingerprint(self) -> str:
        """A hash of all that the file says, in whatever order."""
        return xxh64_hexdigest(msgspec.json.encode((self.aliases, self.domains), order="sorted"))[:12]

    def account(self, named: str) -> str:
        """Return the account that an id stands for."""
        return self.aliases.get(named, named)

    def of_address(self, *addresses: object) -> str:
        """Return the account of the first e-mail address whose domain is one's; empty: none is."""
        if not self.domains:
            return ""
        for address in addresses:
            if type(address) is str:
                name, at, domain = address.rpartition("@")
                if at and name and (account := self.domains.get(domain.lower())):
                    return self.account(account)
        return ""


def read_accounts(config: Any) -> AccountBook:
    """
    Return the accounts of a file.

    Raises:
        ValueError: everything that is wrong with it, a line each.
    """
    try:
        file = msgspec.convert({} if config is None else config, _File)
    except msgspec.ValidationError as error:
        path, detail = type_problem_of(error)
        raise ValueError(
            f"{path.removeprefix('.') or 'the file'}: {detail}; put ids that look like numbers in quotes"
        ) from error
    problems = []
    for alias, account in file.aliases.items():
        if not alias or not account:
            problems.append(f"aliases: {alias or account!r}: neither may be empty")
        elif alias == account:
            problems.append(f"aliases: {alias}: stands for itself; leave it out")
        elif account in file.aliases:
            meant = file.aliases[account]
            what = "each stands for the other; leave one out" if meant == alias else f"name {meant}"
            problems.append(f"aliases: {alias}: {account} is an alias itself; {what}")
    domains: dict[str, str] = {}
    for domain, account in file.domains.items():
        small = domain.lower()
        if not _DOMAIN.fullmatch(small):
            problems.append(f"domains: {domain!r} is no domain; write it as acme.com")
        elif small in FREE_MAIL:
            problems.append(f"domains: {domain}: anybody can have an address there; it is no account's")
        elif not account:
            problems.append(f"domains: {domain}: the account is empty")
        elif domains.setdefault(small, account) != account:
            problems.append(f"domains: {domain}: there twice")
    if problems:
        raise ValueError("\n".join(problems))
    return AccountBook(file.aliases, domains)
