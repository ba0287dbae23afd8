"""The console's catalogues hold the words of every shipped rule and measure; tests/unit/shared/test_wording.py has the rest."""

import re
from pathlib import Path

import pytest

from schemas.measures import MEASURES, SILENCE_CAP
from services.alerter.rule_files import load_rules
from services.console.words import catalogue
from services.shared.wording import LANGUAGES

ENGLISH = catalogue("en")
OTHERS = sorted(set(LANGUAGES) - {"en"})


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


def test_every_reason_that_a_body_or_a_lane_leaves_is_said_in_words() -> None:
    """They are listed beside those of events, to people who know no codes."""
    listed = (Path(__file__).parents[3] / "docs/errors.md").read_text("utf-8")
    of_lanes = listed.partition("## Scorer")[2].partition("## Exit statuses")[0]
    codes = {
        code for row in re.findall(r"^\| (`.*?`) \|", of_lanes, re.MULTILINE) for code in re.findall(r"`(\w+)`", row)
    }
    codes -= {code for code in codes if code.startswith(("wrong_", "no_value", "no_known_as", "undecodable"))}
    kept = (
        "malformed_body truncated_body invalid_body invalid_header backfill_not_allowed body_too_large batch_too_long"
    )
    codes |= {*kept.split(), "decompressed_too_large", "unsupported_encoding", "fold_raised"}

    assert len(codes) > 20
    assert sorted(code for code in codes if not ENGLISH.own(f"ingest.refused.reason.{code}")) == []


@pytest.mark.parametrize(("language", "none"), [("en", "0 days"), ("pt", "0 dias"), ("it", "0 giorni")])
def test_none_takes_the_plural(language: str, none: str) -> None:
    assert catalogue(language)("unit.days", count=0, value="0") == none


@pytest.mark.parametrize(
    ("key", "one", "many"),
    [("waiting.more", "e un'altra", "e altre 2"), ("waiting.more_accounts", "e un altro", "e altri 2")],
)
def test_what_is_left_is_said_in_its_gender(key: str, one: str, many: str) -> None:
    assert (catalogue("it")(key, count=1), catalogue("it")(key, count=2)) == (one, many)


@pytest.mark.parametrize(
    "of_brazil", [r"\b[Pp]or quê\b", r"\b[Qq]ual \w", r"\b[Uu]suári", r"\b[Aa]rquivo", r"\b[Rr]egistro"]
)
def test_portuguese_is_that_of_portugal(of_brazil: str) -> None:
    assert [entry for entry in catalogue("pt").entries.values() if re.search(of_brazil, str(entry))] == []


@pytest.mark.parametrize(("language", "plan"), [("pt", "plano de"), ("it", "piano d")])
def test_the_tracking_plan_has_one_name(language: str, plan: str) -> None:
    named = re.findall(rf"{plan}\w* \w+", " ".join(map(str, catalogue(language).entries.values())))

    assert len(set(named)) == 1
    assert len(named) > 3


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
