import pytest

from proxy.fhir.coding import ACT_CODE, ACT_REASON, CONFIDENTIALITY, Coding, coding_of, system_of

SPELLINGS = {
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
    " http://hl7.org/fhir/v3/Confidentiality ": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.4": ACT_CODE,
    "http://hl7.org/fhir/v3/ActReason": ACT_REASON,
    CONFIDENTIALITY: CONFIDENTIALITY,
    CONFIDENTIALITY + "/": CONFIDENTIALITY + "/",
    "http://labels.example.org": "http://labels.example.org",
    "": "",
    None: "",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_code_system_has_one_name(spelling: str | None) -> None:
    assert system_of(spelling) == SPELLINGS[spelling]


@pytest.mark.parametrize(
    ("system", "code", "coding"),
    [
        ("urn:oid:2.16.840.1.113883.5.25", " R", Coding(CONFIDENTIALITY, "R")),
        (None, None, Coding("", "")),
        ("", "R", Coding("", "R")),
        ("urn:x", "r", Coding("urn:x", "r")),
    ],
)
def test_a_coding_is_compared_by_system_and_code(
    system: str | None, code: str | None, coding: Coding
) -> None:
    assert coding_of(system, code) == coding
