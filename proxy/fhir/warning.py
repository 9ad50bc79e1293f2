"""Warnings that travel with an answer: a `Warning` header, or an OperationOutcome entry of a searchset (RFC 7234 §5.5; FHIR http.html#search).

A text stands in a header as it is written, so only what needs no escape there is a text (`flaw_of`). Pure.
"""

from collections.abc import Collection

import msgspec

LONGEST = 250
"""Characters of one text."""
_UNQUOTABLE = frozenset('"\\')
_PRINTABLE = range(0x20, 0x7F)


def flaw_of(text: str) -> str:
    """Why a text cannot be a warning; empty when it can."""
    if len(text) > LONGEST:
        return f"is too long; a warning has at most {LONGEST} characters"
    if not text.strip() or text != text.strip():
        return "is empty, or begins or ends with a space"
    if any(ord(one) not in _PRINTABLE or one in _UNQUOTABLE for one in text):
        return "cannot stand in a header; write printable ASCII without quotes and backslashes"
    return ""


def header_of(texts: Collection[str]) -> dict[str, str]:
    """The header that conveys the texts beside a resource, `warning: 299 - "…"`; none without a text."""
    values = [f'299 - "{text}"' for text in sorted(set(texts))]
    return {"warning": ", ".join(values)} if values else {}


def outcome_of(texts: Collection[str]) -> bytes:
    """The OperationOutcome that conveys the texts: an issue each, `information`, `informational`."""
    issues = [
        {"severity": "information", "code": "informational", "details": {"text": text}}
        for text in sorted(set(texts))
    ]
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": issues})
