"""
Catalogues: a text by dotted key, with placeholders in braces, and plural forms where the text counts something.

English is complete, which a test holds; where another language misses a key it says it in English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from babel import Locale, negotiate_locale

from services.shared.files import quick_yaml

LANGUAGES: Mapping[str, str] = {"en": "English", "pt": "Português", "it": "Italiano"}
_LOCALES = {"pt": "pt_PT"}
"""Where a catalogue speaks as in one country: Portugal says "0 dias", Brazil "0 dia"."""
_ITALIAN_ARTICLE = re.compile(r"\b([Ii]l|[Aa]l|[Dd]al|[Dd]el|[Nn]el) \{(\w+)\}")
_SPOKEN_WITH_A_VOWEL = re.compile(r"(8\d?|11)(?!\d)")
"""How 8, 11 and 80 to 89 begin in Italian: the article before them loses its own."""
_PLURALS = frozenset({"zero", "one", "two", "few", "many", "other"})

Entry = str | Mapping[str, str]


class Catalogue:
    """The words of one language."""

    def __init__(self, language: str, entries: Mapping[str, Entry], otherwise: Catalogue | None = None) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES.get(language, language))
        self.entries = entries
        self._otherwise = otherwise
        self._plural_form = lru_cache(maxsize=4096)(self.locale.plural_form)  # a rule is worked out in 20 us

    def __call__(self, key: str, count: float | None = None, **values: Any) -> str:
        """
        Return the text of a key, with `values` in its placeholders; `count` chooses the plural form, and is `{count}`.

        Raises:
            KeyError: no catalogue has the key, which is a defect.
        """
        entry = self.entries.get(key)
        if entry is None:
            if self._otherwise is None:
                raise KeyError(key)
            return self._otherwise(key, count, **values)
        if not isinstance(entry, str):
            entry = entry.get(self._plural_form(count or 0)) or entry["other"]
        given = {"count": count, **values}
        if self.language == "it" and "l {" in entry:
            entry = _elided(entry, given)
        return entry.format_map(given)

    def has(self, key: str) -> bool:
        """Return whether this language, or English, says the key."""
        return key in self.entries or (self._otherwise is not None and self._otherwise.has(key))

    def own(self, key: str) -> bool:
        """Return whether this language says the key itself."""
        return key in self.entries


@cache
def read_catalogue(package: str, language: str) -> Catalogue:
    """Return the catalogue of one of LANGUAGES, of which a package has the file."""
    english = None if language == "en" else read_catalogue(package, "en")
    text = (files(package) / f"{language}.yaml").read_text("utf-8")
    return Catalogue(language, dict(_flat(quick_yaml.read(text), "")), english)


def _elided(entry: str, values: Mapping[str, Any]) -> str:
    """Return an Italian text with the articles before its placeholders as they are spoken: `al 9 nov`, but `all'8 nov`."""

    def joined(found: re.Match[str]) -> str:
        article, name = found.groups()
        if not _SPOKEN_WITH_A_VOWEL.match(str(values.get(name, ""))):
            return found[0]
        short = {"il": "l'", "Il": "L'"}.get(article, f"{article}l'")
        return f"{short}{{{name}}}"

    return _ITALIAN_ARTICLE.sub(joined, entry)


def preferred(accept_language: str) -> str:
    """Return the language that fits an Accept-Language header best."""
    wanted = []
    for part in accept_language[:500].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((-float(quality or 1), tag.replace("-", "_")))
        except ValueError:
            continue
    ordered = [tag for _, tag in sorted(wanted, key=lambda each: each[0])]
    return negotiate_locale(ordered, list(LANGUAGES)) or "en"


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Entry]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and not ("other" in value and value.keys() <= _PLURALS):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
