"""Signatures as the vendors make them: the right one is taken, and nothing else is."""

from __future__ import annotations

import pytest

from services.ingest.domain.webhooks.signatures import VENDORS, claimed, verify
from services.shared.errors import Rejected
from tests.support.webhooks import SIGN, Headers, stripe

NOW = 1_743_415_200
BODY = b'{"id": "evt_1"}'
SECRET, OTHER, WRONG = b"whsec_0123456789abcdef", b"whsec_fedcba9876543210", b"whsec_xxxxxxxxxxxxxxxx"


def check(vendor: str, headers: Headers, body: bytes = BODY, secrets: tuple[bytes, ...] = (SECRET,)) -> int:
    return verify(claimed(vendor, headers, NOW, 300), body, secrets)


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_the_vendor_signed_is_taken(vendor: str) -> None:
    assert check(vendor, SIGN[vendor](SECRET, BODY, NOW)) == 0


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("wrong", ["secret", "body", "claim", "empty"])
def test_everything_else_is_refused(vendor: str, wrong: str) -> None:
    headers = SIGN[vendor](WRONG if wrong == "secret" else SECRET, BODY, NOW)
    body = BODY + b" " if wrong == "body" else BODY
    if wrong in ("claim", "empty"):
        headers = {
            name: value if b"timestamp" in name else b"" if wrong == "empty" else value[::-1]
            for name, value in headers.items()
        }

    with pytest.raises(Rejected) as caught:
        check(vendor, headers, body)

    assert caught.value.code == ("missing_signature" if wrong == "empty" else "wrong_signature")
    assert "Signature" in caught.value.field


@pytest.mark.parametrize("vendor", VENDORS)
def test_while_a_secret_is_changed_both_are_taken(vendor: str) -> None:
    assert check(vendor, SIGN[vendor](SECRET, BODY, NOW), secrets=(SECRET, OTHER)) == 0
    assert check(vendor, SIGN[vendor](OTHER, BODY, NOW), secrets=(SECRET, OTHER)) == 1
    with pytest.raises(Rejected):
        check(vendor, SIGN[vendor](WRONG, BODY, NOW), secrets=(SECRET, OTHER))


def test_stripe_signs_with_both_secrets_while_it_changes_them() -> None:
    first, second = (stripe(secret, BODY, NOW)[b"stripe-signature"] for secret in (WRONG, SECRET))
    both = {b"stripe-signature": first + b"," + second.split(b",")[1]}

    assert check("stripe", both) == 0


@pytest.mark.parametrize("vendor", ["stripe", "zendesk"])
@pytest.mark.parametrize(("late", "taken"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_signature_holds_for_as_long_as_the_tolerance(vendor: str, late: int, taken: bool) -> None:
    headers = SIGN[vendor](SECRET, BODY, NOW + 3600)
    if taken:
        assert verify(claimed(vendor, headers, NOW + 3600 + late, 300), BODY, (SECRET,)) == 0
        return
    with pytest.raises(Rejected) as caught:
        claimed(vendor, headers, NOW + 3600 + late, 300)
    assert caught.value.code == "signature_expired"


@pytest.mark.parametrize(
    ("vendor", "headers"),
    [
        ("stripe", {b"stripe-signature": b"t=1743415200"}),
        ("stripe", {b"stripe-signature": b"v1=" + b"0" * 64}),
        ("stripe", {b"stripe-signature": b"t=abc,v1=" + b"0" * 64}),
        ("stripe", {b"stripe-signature": b"t=1743415200,v1=xyz"}),
        ("stripe", {b"stripe-signature": b"t=1743415200,v0=" + b"0" * 64}),
        ("stripe", {b"stripe-signature": b"t=1743415200,v1=" + b"0" * 3000}),
        ("zendesk", {b"x-zendesk-webhook-signature": b"AAAA"}),
        ("zendesk", {b"x-zendesk-webhook-signature": b"AAAA", b"x-zendesk-webhook-signature-timestamp": b"now"}),
        ("zendesk", {b"x-zendesk-webhook-signature": b"\xff", b"x-zendesk-webhook-signature-timestamp": b"\xff"}),
        ("delighted", {b"x-delighted-webhook-signature": b"sha1=" + b"0" * 40}),
        ("delighted", {b"x-delighted-webhook-signature": b"sha256=" + b"0" * 62}),
    ],
)
def test_a_signature_of_another_form_is_refused_before_the_body_is_read(vendor: str, headers: Headers) -> None:
    with pytest.raises(Rejected):
        claimed(vendor, headers, NOW, 300)
