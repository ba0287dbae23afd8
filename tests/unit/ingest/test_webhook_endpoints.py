"""The webhooks file: read whole, with every fault named, and again when it changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.ingest.metrics import IngestMetrics
from services.ingest.webhooks import endpoints
from services.ingest.webhooks.endpoints import Endpoint, Endpoints, read
from services.shared.errors import ConfigurationError

GOOD = """
- vendor: stripe
  name: billing
  source: stripe
  secrets: [whsec_0123456789abcdef, whsec_fedcba9876543210]
  account: metadata.account_id
- vendor: delighted
  name: nps
  source: surveys
  environment: staging
  secrets: [0123456789abcdef]
  account: person_properties.account_id
  user: person.id
"""


def write(path: Path, text: str, at: int = 1) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    os.utime(path, ns=(at, at))
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    found = read(write(tmp_path / "hooks", GOOD))

    assert list(found) == ["stripe/billing", "delighted/nps"]
    assert found["stripe/billing"] == Endpoint(
        "stripe", "billing", "stripe", "production", "metadata.account_id", "",
        secrets=(b"whsec_0123456789abcdef", b"whsec_fedcba9876543210"),
    )  # fmt: skip
    assert read(None) == {}


def test_every_fault_of_every_entry_is_named(tmp_path: Path) -> None:
    path = write(
        tmp_path / "hooks",
        """
- {vendor: stripe, name: Billing, source: '', environment: '', secrets: [short, short], account: invoice}
- {vendor: paypal, name: x, source: s, secrets: [], account: a}
- {vendor: zendesk, name: a, source: s, secrets: [], account: organization.id, user: someone}
- {vendor: zendesk, name: a, source: s, secrets: [0123456789abcdef, 0123456789abcdeg, 0123456789abcdeh], account: organization.id}
- 7
- {vendor: zendesk, name: Bad, sauce: s, secrets: [1, 2], account: nowhere, user: [x]}
- {vendor: paypal, name: '', secrets: 0123456789abcdef}
""",
    )

    with pytest.raises(ConfigurationError) as caught:
        read(path)

    told = [problem.partition(": entry ")[2] for problem in caught.value.problems]
    assert [each.partition(":")[0] for each in told] == [*"1111111", *"22", *"33", *"44", "5", *"6666666", *"77777"]
    assert [each.split()[1].rstrip(":") for each in told if each[0] in "67"] == [
        *("there", "secrets[0]", "secrets[1]", "user", "source", "name", "account"),
        *("vendor", "secrets", "source", "account", "name"),
    ]


@pytest.mark.parametrize("text", ["a: 1", "- [", "\x00"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        read(write(tmp_path / "hooks", text))


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="account is there twice"):
        read(write(tmp_path / "hooks", f"{GOOD}  account: person_properties.other\n"))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read(tmp_path / "hooks")


@pytest.mark.parametrize(
    ("mode", "may"), [(0o644, "read it"), (0o604, "read it"), (0o602, "write it"), (0o666, "read and write it")]
)
def test_a_file_of_secrets_that_others_may_open_is_refused(tmp_path: Path, mode: int, may: str) -> None:
    path = write(tmp_path / "hooks", GOOD)
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=f"every user of this machine may {may}.*chmod o-rwx"):
        read(path)


def test_a_folder_is_said_to_be_one_and_not_to_be_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(ConfigurationError, match="is a folder: give the path of a file"):
        read(tmp_path)


def test_the_group_of_a_file_of_secrets_may_read_it(tmp_path: Path) -> None:
    path = write(tmp_path / "hooks", GOOD)
    path.chmod(0o640)

    assert read(path)


def unreadable(metrics: IngestMetrics) -> float | None:
    return metrics.registry.get_sample_value("tidemark_ingest_file_unreadable", {"file": "webhooks"})


def test_who_closes_a_file_of_secrets_has_it_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "hooks", GOOD)
    metrics = IngestMetrics(CollectorRegistry())
    endpoints = Endpoints.from_file(path, metrics)
    write(path, GOOD.replace("billing", "money"), 2).chmod(0o644)
    endpoints.refresh()
    assert (endpoints.find("stripe/money"), unreadable(metrics)) == (None, 1)

    path.chmod(0o600)
    endpoints.refresh()
    assert endpoints.find("stripe/money") is not None


def test_secrets_are_in_no_text_of_an_endpoint(tmp_path: Path) -> None:
    assert "whsec" not in repr(read(write(tmp_path / "hooks", GOOD)))


def test_what_the_vendor_calls_a_test_does_not_score(tmp_path: Path) -> None:
    found = read(write(tmp_path / "hooks", GOOD))

    assert found["stripe/billing"].key(test=True).environment == "test"
    assert found["stripe/billing"].key(test=False).environment == "production"
    assert found["delighted/nps"].key(test=True).environment == "staging"


def test_a_change_is_taken_over_and_a_fault_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "hooks", GOOD)
    metrics = IngestMetrics(CollectorRegistry())
    endpoints = Endpoints.from_file(path, metrics)
    assert metrics.webhooks._value.get() == 2

    write(path, GOOD.replace("billing", "money"), 2)
    endpoints.refresh()
    assert endpoints.find("stripe/billing") is None
    assert endpoints.find("stripe/money") is not None

    write(path, "nonsense", 3)
    endpoints.refresh()
    path.unlink()
    endpoints.refresh()
    assert endpoints.find("stripe/money") is not None
    assert (unreadable(metrics), endpoints.unreadable) == (1, [str(path)])

    write(path, GOOD, 4)
    endpoints.refresh()
    assert (unreadable(metrics), endpoints.unreadable) == (0, [])


def test_a_change_that_comes_while_the_file_is_read_at_the_start_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "hooks", GOOD)

    def changed_meanwhile(file: Path) -> dict[str, Endpoint]:
        found = read(file)
        write(file, GOOD.replace("billing", "payments"), 2)
        return found

    monkeypatch.setattr(endpoints, "read", changed_meanwhile)
    known = Endpoints.from_file(path, IngestMetrics(CollectorRegistry()))
    monkeypatch.undo()
    assert known.find("stripe/billing") is not None

    known.refresh()

    assert known.find("stripe/payments") is not None


def test_outcomes_are_counted_from_nothing_so_that_an_alert_sees_the_first(tmp_path: Path) -> None:
    metrics = IngestMetrics(CollectorRegistry())
    Endpoints.from_file(write(tmp_path / "hooks", GOOD), metrics)

    labels = {"endpoint": "stripe/billing", "outcome": "rejected"}
    assert metrics.registry.get_sample_value("tidemark_ingest_webhooks_total", labels) == 0
