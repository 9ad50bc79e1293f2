"""What the properties are made of: JSON as it may be written, labels, resources, rules, requests."""

import json
from typing import Any

from hypothesis import strategies as st

from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY

Json = dict[str, Any]
PATIENTS = ("camille", "denise", "ines", "noe", "susan", "nobody")
_SPACE = st.sampled_from(["", " ", "\n", "\t", "\r\n  "])
_NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)


def _string(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)


_STRINGS = st.builds(_string, _TEXTS, st.booleans())
_LEAVES = st.one_of(_NUMBERS, _STRINGS, st.sampled_from(["true", "false", "null", "{}", "[]"]))


def _array(items: list[str], space: str) -> str:
    return f"[{space}" + f"{space},{space}".join(items) + f"{space}]"


def _object(items: list[tuple[str, str]], space: str) -> str:
    inside = f"{space},{space}".join(f"{_string(k, False)}{space}:{space}{v}" for k, v in items)
    return f"{{{space}{inside}{space}}}"


def json_text() -> st.SearchStrategy[str]:
    """JSON in unusual but lawful spellings; no object has two members of one name, which could be read in two ways."""
    keys = _TEXTS.filter(lambda key: key not in {"url", "code", "resourceType"})
    return st.recursive(
        _LEAVES,
        lambda inner: st.one_of(
            st.builds(_array, st.lists(inner, max_size=4), _SPACE),
            st.builds(
                _object,
                st.lists(st.tuples(keys, inner), max_size=4, unique_by=lambda pair: pair[0]),
                _SPACE,
            ),
        ),
        max_leaves=12,
    )


def labels() -> st.SearchStrategy[list[Json]]:
    """Security labels: known and unknown ones, in several spellings."""
    codings = [
        *({"system": CONFIDENTIALITY, "code": code} for code in "ULMNRV"),
        *({"system": ACT_CODE, "code": code} for code in ("HIV", "SUD", "PSY", "ETH")),
        {"system": "urn:oid:2.16.840.1.113883.5.25", "code": "R"},
        {"system": "http://labels.example.org", "code": "VIP"},
        {"code": "R"},
        {},
    ]
    return st.lists(st.sampled_from(codings), max_size=3)


def observations() -> st.SearchStrategy[Json]:
    """Observations about one of the patients, or about nobody that can be told, with any labels."""
    subjects = st.one_of(
        st.sampled_from([f"Patient/{one}" for one in PATIENTS]),
        st.sampled_from(["Group/prevention-grippe", "urn:uuid:1", "#p", "Practitioner/dr-martin"]),
    )
    return st.builds(
        lambda subject, security, performer: {
            "resourceType": "Observation",
            "status": "final",
            "meta": {"security": security},
            "subject": {"reference": subject},
            "performer": [{"reference": performer}],
        },
        subjects,
        labels(),
        st.sampled_from(
            [f"Practitioner/{one}" for one in ("dr-martin", "dr-petit", "dr-vernay", "nurse-nora")]
        ),
    )


METHODS = st.one_of(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.text(st.sampled_from("ABCXYZ"), min_size=1, max_size=8),
)


def targets() -> st.SearchStrategy[str]:
    """Request targets below the base: nearly right ones, and any visible characters."""
    words = st.sampled_from(
        ["Patient", "Observation", "camille", "noe", "_history", "_search", "1", "$everything", "metadata", "..", "%2e", "", "*", "Consent"]
    )  # fmt: skip
    names = st.sampled_from(
        ["patient", "_id", "code", "_count", "_sort", "_include", "_page", "_format", "_has:x", "name:exact", "_summary", "date", "x y"]
    )  # fmt: skip
    values = st.one_of(
        st.sampled_from(["camille", "Patient/noe", "1", "0", "-1", "a,b", "json", "Observation:subject", "%00", "é", "|", "ge2020"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=12),
    )  # fmt: skip
    paths = st.lists(words, max_size=5).map(lambda parts: "/" + "/".join(parts))
    queries = st.lists(st.tuples(names, values), max_size=4).map(
        lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
    )
    return st.builds(lambda path, query: f"{path}?{query}" if query else path, paths, queries)
