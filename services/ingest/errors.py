"""
Every code that ingest answers with, and the HTTP status of those that concern a whole request.

The set is closed: docs/errors.md explains each one, and a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

from services.shared.errors import Rejected, Retryable


class Code(StrEnum):
    """A machine-readable reason. Its value never changes once released."""

    # of one event
    MALFORMED_JSON = "malformed_json"
    WRONG_TYPE = "wrong_type"
    MISSING_FIELD = "missing_field"
    MISSING_IDENTITY = "missing_identity"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LONG = "too_long"
    TOO_DEEP = "too_deep"
    EVENT_TOO_LARGE = "event_too_large"
    CONTROL_CHARACTERS = "control_characters"
    NUMBER_NOT_FINITE = "number_not_finite"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    INVALID_TEXT = "invalid_text"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    PARTITION_STALLED = "partition_stalled"
    PLAN_MISSING_PROPERTY = "plan_missing_property"
    PLAN_WRONG_TYPE = "plan_wrong_type"
    PLAN_WRONG_VALUE = "plan_wrong_value"
    PLAN_UNKNOWN_EVENT = "plan_unknown_event"
    PLAN_SERVER_ONLY = "plan_server_only"
    # of a whole request
    MALFORMED_REQUEST = "malformed_request"
    MALFORMED_BODY = "malformed_body"
    TRUNCATED_BODY = "truncated_body"
    INVALID_BODY = "invalid_body"
    BODY_TOO_LARGE = "body_too_large"
    DECOMPRESSED_TOO_LARGE = "decompressed_too_large"
    BATCH_TOO_LONG = "batch_too_long"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    HEADERS_TOO_LARGE = "headers_too_large"
    URL_TOO_LONG = "url_too_long"
    PUBLIC_URL_NOT_SET = "public_url_not_set"
    INVALID_HEADER = "invalid_header"
    MISSING_WRITE_KEY = "missing_write_key"
    UNKNOWN_WRITE_KEY = "unknown_write_key"
    EXPIRED_WRITE_KEY = "expired_write_key"
    BACKFILL_NOT_ALLOWED = "backfill_not_allowed"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    MISSING_SIGNATURE = "missing_signature"
    WRONG_SIGNATURE = "wrong_signature"
    SIGNATURE_EXPIRED = "signature_expired"
    UNKNOWN_WEBHOOK = "unknown_webhook"
    WRONG_SOURCE = "wrong_source"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    LOG_UNAVAILABLE = "log_unavailable"
    INTERNAL_ERROR = "internal_error"


STATUS: dict[Code, int] = {
    Code.MALFORMED_REQUEST: 400,
    Code.MALFORMED_BODY: 400,
    Code.TRUNCATED_BODY: 400,
    Code.INVALID_BODY: 400,
    Code.INVALID_HEADER: 400,
    Code.MISSING_WRITE_KEY: 401,
    Code.UNKNOWN_WRITE_KEY: 401,
    Code.EXPIRED_WRITE_KEY: 401,
    Code.MISSING_SIGNATURE: 401,
    Code.WRONG_SIGNATURE: 401,
    Code.SIGNATURE_EXPIRED: 401,
    Code.BACKFILL_NOT_ALLOWED: 403,
    Code.ORIGIN_NOT_ALLOWED: 403,
    Code.UNKNOWN_WEBHOOK: 404,
    Code.WRONG_SOURCE: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.BODY_TOO_LARGE: 413,
    Code.DECOMPRESSED_TOO_LARGE: 413,
    Code.BATCH_TOO_LONG: 413,
    Code.URL_TOO_LONG: 414,
    Code.PUBLIC_URL_NOT_SET: 421,
    Code.UNSUPPORTED_ENCODING: 415,
    Code.HEADERS_TOO_LARGE: 431,
    Code.RATE_LIMITED: 429,
    Code.OVERLOADED: 429,
    Code.LOG_UNAVAILABLE: 429,
    Code.INTERNAL_ERROR: 500,
}
"""Never a 3xx, which SDKs take for delivered, and never a 410, which they repeat."""


OF_ANY_REQUEST = (
    Code.MALFORMED_REQUEST,
    Code.REQUEST_TIMEOUT,
    Code.URL_TOO_LONG,
    Code.HEADERS_TOO_LARGE,
    Code.OVERLOADED,
    Code.INTERNAL_ERROR,
)
"""Codes of what any address may answer."""
OF_A_KEY = (
    Code.MISSING_WRITE_KEY,
    Code.UNKNOWN_WRITE_KEY,
    Code.EXPIRED_WRITE_KEY,
    Code.ORIGIN_NOT_ALLOWED,
    Code.RATE_LIMITED,
)
"""Codes of what asks for a write key."""
OF_A_BODY = (
    Code.MALFORMED_BODY,
    Code.TRUNCATED_BODY,
    Code.INVALID_BODY,
    Code.INVALID_HEADER,
    Code.BACKFILL_NOT_ALLOWED,
    Code.BODY_TOO_LARGE,
    Code.DECOMPRESSED_TOO_LARGE,
    Code.BATCH_TOO_LONG,
    Code.UNSUPPORTED_ENCODING,
    Code.LOG_UNAVAILABLE,
)
"""Codes of what takes events."""
OF_AN_EVENT = tuple(code for code in Code if code not in STATUS and code != Code.PARTITION_STALLED)
"""Codes of one event that is rejected; an address of single events answers with them."""


class Overloaded(Retryable):
    """The process has its hands full; Kafka may be well."""


class RateLimited(Retryable):
    """The sender is over the rate of its write key."""


def status_of(error: Rejected) -> int:
    """Return the HTTP status for a refused request; 400 where the code is that of its only event."""
    return STATUS.get(Code(error.code), 400)
