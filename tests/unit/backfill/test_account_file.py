"""Account facts from files become group calls; a malformed row is named and does not hold up the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.backfill.account_file import read
from services.backfill.files import BadFile

NOW_MS = 1_800_000_000_000


def test_a_row_becomes_a_group_call(tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text('account,name,owner,revenue,seats,renewal_date\nacme,Acme,Nora,"12,000",20,2027-01-31\n')

    calls, problems = read(path, "account", NOW_MS)

    assert problems == []
    assert calls[0].call["groupId"] == "acme"
    assert calls[0].call["traits"] == {
        "name": "Acme",
        "owner": "Nora",
        "revenue": 12_000.0,
        "seats": 20,
        "renewal_date": "2027-01-31",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "account,plan,seats\nacme,team,5\n"),
        ("a.yaml", "- {account: acme, plan: team, seats: 5}\n"),
        ("a.ndjson", '{"account": "acme", "plan": "team", "seats": 5}\n'),
    ],
)
def test_the_same_facts_have_the_same_id_whatever_the_format(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    other = tmp_path / "other.ndjson"
    other.write_text('{"account": "acme", "seats": 5, "plan": "team"}\n')

    calls, _ = read(path, "account", NOW_MS)

    assert calls[0].call["messageId"] == read(other, "account", NOW_MS)[0][0].call["messageId"]


def test_other_facts_have_another_id(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,seats\nacme,5\nacme,6\n")

    calls, _ = read(path, "account", NOW_MS)

    assert len({call.call["messageId"] for call in calls}) == 2


def test_malformed_rows_are_named_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,seats,renewal_date\nacme,five,\n,5,\nglobex,5,soon\ninitech,,\nhooli,5,2027-01-31\n")

    calls, problems = read(path, "account", NOW_MS)

    assert [call.call["groupId"] for call in calls] == ["hooli"]
    assert problems == [
        "row 1: column 'seats': 'five' is not a number",
        "row 2: column 'account' is missing or empty",
        "row 3: column 'renewal_date': 'soon' is not a date like 2027-01-31",
        "row 4: account 'initech' has no facts",
    ]


def test_yaml_dates_and_not_a_number_are_handled(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- {account: a, renewal_date: 2027-01-31}\n- {account: b, revenue: .nan}\n- just text\n")

    calls, problems = read(path, "account", NOW_MS)

    assert calls[0].call["traits"] == {"renewal_date": "2027-01-31"}
    assert len(problems) == 2


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("account: acme\n")

    with pytest.raises(BadFile, match="must be a list"):
        read(path, "account", NOW_MS)
