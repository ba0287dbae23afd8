"""Catalogues are complete and agree with each other, whichever service they belong to."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Formatter

import pytest

from services.shared.wording import LANGUAGES, Catalogue, preferred, read_catalogue

SERVICES = Path(__file__).parents[3] / "services"
CALLS = {
    "console": (["console"], re.compile(r"""(?:\bt|words)\(\s*["']([a-z_0-9.]+)["'](\s*~)?""")),
    "backtest": (["backtest", "cli"], re.compile(r"""\bsay\(\s*f?["']([a-z_0-9.]+)(\{)?""")),
}
"""Of each service with words: the folders that ask for them, and how a call looks; its second group is an open end."""
OTHERS = [(service, language) for service in CALLS for language in LANGUAGES if language != "en"]
ALL = [(service, language) for service in CALLS for language in LANGUAGES]


def catalogue(service: str, language: str) -> Catalogue:
    return read_catalogue(f"services.{service}.words", language)


def sources() -> Iterator[tuple[str, Path]]:
    for service, (folders, _) in CALLS.items():
        for folder in folders:
            for path in sorted([*(SERVICES / folder).rglob("*.jinja"), *(SERVICES / folder).rglob("*.py")]):
                yield service, path


def placeholders(entry: str | Mapping[str, str]) -> set[str]:
    texts = [entry] if isinstance(entry, str) else list(entry.values())
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


def test_every_service_with_catalogues_is_looked_at() -> None:
    assert {path.parts[-3] for path in SERVICES.rglob("words/en.yaml")} == CALLS.keys()


@pytest.mark.parametrize("service", CALLS)
def test_there_is_a_file_of_each_language_and_of_no_other(service: str) -> None:
    assert {path.stem for path in (SERVICES / service / "words").glob("*.yaml")} == LANGUAGES.keys()


@pytest.mark.parametrize(("service", "language"), OTHERS)
def test_a_language_says_all_that_english_says(service: str, language: str) -> None:
    assert sorted(catalogue(service, "en").entries.keys() - catalogue(service, language).entries.keys()) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_back_test_says_nothing_that_english_does_not(language: str) -> None:
    """Of the console, see tests/unit/console/test_words.py: it names measures in other languages alone."""
    assert catalogue("backtest", language).entries.keys() == catalogue("backtest", "en").entries.keys()


@pytest.mark.parametrize(("service", "language"), OTHERS)
def test_texts_have_the_same_placeholders_in_every_language(service: str, language: str) -> None:
    own = catalogue(service, language).entries

    assert {
        key
        for key, entry in catalogue(service, "en").entries.items()
        if placeholders(entry) - {"count"} != placeholders(own[key]) - {"count"}
    } == set()


@pytest.mark.parametrize(("service", "language"), ALL)
def test_what_counts_has_a_form_for_every_plural_that_the_language_uses_for_whole_numbers(
    service: str, language: str
) -> None:
    words = catalogue(service, language)
    forms = {words.locale.plural_form(number) for number in range(200)}

    assert {
        k for k, entry in words.entries.items() if not isinstance(entry, str) and not forms <= entry.keys()
    } == set()


@pytest.mark.parametrize(("service", "language"), ALL)
def test_every_key_and_every_text_is_text(service: str, language: str) -> None:
    """YAML takes a bare `no` or `false` for a truth value."""
    entries: Mapping[str, object] = catalogue(service, language).entries

    assert [key for key in entries if re.search(r"True|False|None", key)] == []
    assert [key for key, entry in entries.items() if not isinstance(entry, str | Mapping)] == []


@pytest.mark.parametrize(
    ("service", "path"),
    list(sources()),
    ids=lambda each: each if isinstance(each, str) else str(each.relative_to(SERVICES)),
)
def test_every_key_that_is_asked_for_is_in_the_catalogue(service: str, path: Path) -> None:
    english, (_, call) = catalogue(service, "en"), CALLS[service]
    missing = [
        key
        for key, open_end in call.findall(path.read_text("utf-8"))
        if not (any(known.startswith(key) for known in english.entries) if open_end else english.own(key))
    ]

    assert missing == []


def test_a_missing_key_is_said_in_english_and_one_of_nobody_is_a_defect() -> None:
    words = Catalogue("it", {}, Catalogue("en", {"a": "one {thing}"}))

    assert words("a", thing="x") == "one x"
    with pytest.raises(KeyError, match="b"):
        words("b")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("fr,pt-BR;q=0.5", "pt"),
        ("pt-PT", "pt"),
        ("de", "en"),
        ("", "en"),
        ("en;q=0.1, it;q=0.2", "it"),
        ("it;q=x", "en"),
        ("*" * 5000, "en"),
    ],
)
def test_the_language_is_the_browsers_first_that_there_is(header: str, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("Com'era il {day}", "8 nov 2026", "Com'era l'8 nov 2026"),
        ("Il {day} mancava", "11 nov", "L'11 nov mancava"),
        ("dal {day} al {day}", "11/11/2026", "dall'11/11/2026 all'11/11/2026"),
        ("{day} al {day}", "80%", "80% all'80%"),
        ("nel {day}, del {day}", "8,4%", "nell'8,4%, dell'8,4%"),
        ("dal {day}", "18 nov", "dal 18 nov"),
        ("dal {day}", "1 nov", "dal 1 nov"),
        ("al {day}", "110%", "al 110%"),
        ("canale {day}", "8", "canale 8"),
        ("«{day}»", "al 8 {x}", "«al 8 {x}»"),
    ],
)
def test_an_italian_article_loses_its_vowel_before_eight_and_eleven(entry: str, value: str, said: str) -> None:
    assert Catalogue("it", {"key": entry})("key", day=value) == said
    assert Catalogue("pt", {"key": entry})("key", day=value) == entry.replace("{day}", value)
