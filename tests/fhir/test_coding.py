import pytest

from proxy.fhir.coding import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    Coding,
    coding_of,
    folded,
    spelt_alike,
    system_of,
)

SPELLINGS = {
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
    " http://hl7.org/fhir/v3/Confidentiality ": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.4": ACT_CODE,
    "http://hl7.org/fhir/v3/ActReason": ACT_REASON,
    CONFIDENTIALITY: CONFIDENTIALITY,
    CONFIDENTIALITY + "/": CONFIDENTIALITY,
    CONFIDENTIALITY + "|2018-08-12": CONFIDENTIALITY,
    CONFIDENTIALITY.upper(): CONFIDENTIALITY,
    CONFIDENTIALITY.replace("http:", "https:") + "//|1": CONFIDENTIALITY,
    "URN:OID:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "urn:oid:2.16.840.1.113883.5.25|1": CONFIDENTIALITY,
    "oid:2.16.840.1.113883.5.4": ACT_CODE,
    CONFIDENTIALITY + "2": CONFIDENTIALITY + "2",
    "http://labels.example.org/A/": "http://labels.example.org/A/",
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


SNOMED = "http://snomed.info/sct"
FOLDED = [
    (SNOMED + "/900000000000207008/version/20230131", SNOMED),
    (SNOMED + "/11000315107|1", SNOMED),
    ("https://www.snomed.info/sct/", SNOMED),
    ("HTTP://LOINC.ORG", "http://loinc.org"),
    ("urn:oid:2.16.840.1.113883.6.1", "2.16.840.1.113883.6.1"),
]


@pytest.mark.parametrize(("spelling", "other"), FOLDED)
def test_editions_versions_schemes_and_slashes_make_no_other_code_system(
    spelling: str, other: str
) -> None:
    assert folded(spelling) == folded(other)
    assert folded(folded(spelling)) == folded(spelling)


def test_different_code_systems_stay_different() -> None:
    different = {
        SNOMED,
        SNOMED + "x",
        "http://loinc.org",
        "http://loinc.org/vs",
        "http://hl7.org/fhir/sid/icd-10",
    }
    assert len(set(map(folded, different))) == len(different)


@pytest.mark.parametrize(("code", "other"), [(" f11 ", "F11"), ("straße", "STRASSE")])
def test_codes_are_alike_without_case_and_space(code: str, other: str) -> None:
    assert spelt_alike(code) == spelt_alike(other)
