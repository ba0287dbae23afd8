"""The catalogues are complete, agree with each other, and hold the words of every shipped rule and measure."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from schemas.measures import MEASURES, SILENCE_CAP
from services.alerter.rule_files import load_rules
from services.console.words import catalogue
from services.shared.wording import LANGUAGES, Catalogue, preferred

ROOT = Path(__file__).parents[3] / "services/console"
ENGLISH = catalogue("en")
OTHERS = sorted(set(LANGUAGES) - {"en"})
_CALLS = re.compile(r"""(?:\bt|words)\(\s*["']([a-z_0-9.]+)["'](\s*~)?""")


def sources() -> Iterator[Path]:
    yield from sorted([*ROOT.rglob("*.jinja"), *ROOT.rglob("*.py")])


def placeholders(entry: object) -> set[str]:
    texts = [entry] if isinstance(entry, str) else list(entry.values())  # type: ignore[attr-defined]
    return {name for text in texts for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_says_all_that_english_says(language: str) -> None:
    assert sorted(ENGLISH.entries.keys() - catalogue(language).entries.keys()) == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_says_nothing_that_english_does_not_but_labels_of_measures(language: str) -> None:
    """Those are the API's in English, where they need no other words for people who know no API."""
    more = catalogue(language).entries.keys() - ENGLISH.entries.keys()
    reworded = {key.removeprefix("measures.") for key in ENGLISH.entries if key.startswith("measures.")}

    assert {key.removeprefix("measures.") for key in more} | reworded == {*MEASURES, SILENCE_CAP}


def test_every_reason_to_refuse_an_event_is_said_in_words() -> None:
    listed = (Path(__file__).parents[3] / "docs/errors.md").read_text("utf-8")
    of_an_event = listed.partition("### Of one event")[2].partition("One code is not")[0]

    codes = re.findall(r"^\| `(\w+)` \|", of_an_event, re.MULTILINE)
    assert len(codes) > 15
    assert [code for code in codes if not ENGLISH.own(f"ingest.refused.reason.{code}")] == []


@pytest.mark.parametrize("language", OTHERS)
def test_texts_have_the_same_placeholders_in_every_language(language: str) -> None:
    own = catalogue(language).entries

    assert {
        k for k, entry in ENGLISH.entries.items() if placeholders(entry) - {"count"} != placeholders(own[k]) - {"count"}
    } == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_counts_has_a_form_for_every_plural_that_the_language_uses_for_whole_numbers(language: str) -> None:
    words = catalogue(language)
    forms = {words.locale.plural_form(number) for number in range(200)}

    assert {
        k for k, entry in words.entries.items() if not isinstance(entry, str) and not forms <= entry.keys()
    } == set()


@pytest.mark.parametrize(("language", "none"), [("en", "0 days"), ("pt", "0 dias"), ("it", "0 giorni")])
def test_none_takes_the_plural(language: str, none: str) -> None:
    assert catalogue(language)("unit.days", count=0, value="0") == none


@pytest.mark.parametrize(
    ("key", "one", "many"),
    [("waiting.more", "e un'altra", "e altre 2"), ("waiting.more_accounts", "e un altro", "e altri 2")],
)
def test_what_is_left_is_said_in_its_gender(key: str, one: str, many: str) -> None:
    assert (catalogue("it")(key, count=1), catalogue("it")(key, count=2)) == (one, many)


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_that_is_asked_for_is_in_the_catalogue(path: Path) -> None:
    missing = [
        key
        for key, open_end in _CALLS.findall(path.read_text("utf-8"))
        if not (any(known.startswith(key) for known in ENGLISH.entries) if open_end else ENGLISH.own(key))
    ]

    assert missing == []


def test_the_catalogue_says_titles_and_next_steps_of_the_shipped_rules_as_the_rules_do() -> None:
    said = {}
    for rule in load_rules().ordered:
        said[f"rules.{rule.id}.title"] = rule.text.title
        said[f"rules.{rule.id}.action"] = rule.text.action
        for step in rule.escalations:
            for part in ("title", "action"):
                own = getattr(step.text, part)
                if own != getattr(rule.text, part):
                    said[f"rules.{rule.id}.{step.severity.name.lower()}.{part}"] = own

    told = {
        key: entry
        for key, entry in ENGLISH.entries.items()
        if key.startswith("rules.") and not key.endswith(".meaning")
    }
    assert told == said
    assert {f"{rule.id}" for rule in load_rules().ordered if not ENGLISH.own(f"rules.{rule.id}.meaning")} == set()


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
