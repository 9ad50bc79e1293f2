"""The value sets of codes that ship with policies/baseline: real resources in every code system, and codes that can be codes."""

import re

import orjson
import pytest

from proxy.decision.labels import effective_labels
from proxy.fhir.coding import ACT_CODE, Coding
from proxy.policy.labels import LabellingRule
from tests.situations import BASELINE, READER

ICD, SNOMED, LOINC = "http://hl7.org/fhir/sid/icd-10", "http://snomed.info/sct", "http://loinc.org"
ATC = "http://www.whocc.no/atc"
ELEMENTS = {
    ICD: ("Condition", "code"),
    SNOMED: ("Procedure", "code"),
    LOINC: ("Observation", "code"),
    ATC: ("MedicationRequest", "medicationCodeableConcept"),
}
SHIPPED: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "substance-use": ("SUD", {ICD: ("F10.2", "F112", "Z502", "T40.1X1A"), SNOMED: ("7200002", "231477003"), LOINC: ("75626-2",), ATC: ("N07BC01",)}),
    "hiv": ("HIV", {ICD: ("B20", "B24", "Z21", "R75"), SNOMED: ("86406008",), LOINC: ("75622-1", "20447-9"), ATC: ("J05AR20", "J05AJ03", "J05AE03")}),
    "psychiatry": ("PSY", {ICD: ("F32.1", "F200", "F50.0", "X61", "Z915"), SNOMED: ("58214004",), LOINC: ("44261-6",), ATC: ("N05AN01", "N05AH02")}),
    "sexual-and-reproductive-health": ("SEX", {ICD: ("A53.9", "O04.9", "Z30.0", "Z640"), SNOMED: ("76272004", "169553002"), LOINC: ("21613-5",), ATC: ("G03AD01", "G03XB01")}),
    "domestic-violence": ("SDV", {ICD: ("T74.1", "Y07.0", "Z61.4"), SNOMED: ("706893006",), LOINC: ("76499-3",)}),
    "genetics": ("GDIS", {ICD: ("D57.1", "E84.0", "G10", "Z315"), SNOMED: ("412738007",), LOINC: ("51969-4",)}),
}  # fmt: skip
CASES = [
    (rule, label, system, code)
    for rule, (label, systems) in SHIPPED.items()
    for system, codes in systems.items()
    for code in codes
]


def labelled(system: str, code: str) -> frozenset[Coding]:
    rtype, element = ELEMENTS.get(system, ("Observation", "code"))
    concept = {"coding": [{"system": system, "code": code}]}
    raw = orjson.dumps({"resourceType": rtype, "id": "x", "subject": {"reference": "Patient/p"}, element: concept})  # fmt: skip
    labels = effective_labels(READER.read(raw), BASELINE)
    assert (labels.confidentiality == "R") == bool(labels.codings - {Coding(labels_system(), "N")})
    return labels.codings


def labels_system() -> str:
    return "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


@pytest.mark.parametrize(("rule", "label", "system", "code"), CASES)
def test_a_resource_with_the_code_is_sensitive(
    rule: str, label: str, system: str, code: str
) -> None:
    assert Coding(ACT_CODE, label) in labelled(system, code)
    assert Coding(ACT_CODE, label) in labelled(f"{system.upper()}/|2026", code)
    assert Coding(ACT_CODE, label) in labelled("urn:nobody-named-it", code)
    assert rule in {told for told, _, _ in BASELINE.labels.rules_of([Coding(system, code)])}


ORDINARY = [
    (ICD, "I10"), (ICD, "F17.2"), (ICD, "F03"), (ICD, "Z50.1"), (ICD, "O80"), (SNOMED, "38341003"), (LOINC, "8867-4"),
    (ATC, "N06AA09"), (ATC, "J05AF10"), (ATC, "J05AE30"), (ATC, "A02BB01"), ("urn:oid:2.16.840.1.113883.6.238", "2106-3"),
    ("http://www.cms.gov/Medicare/Coding/ICD10", "F13Z08Z"), ("http://hl7.org/fhir/sid/icd-9-cm", "E84.5"),
]  # fmt: skip


@pytest.mark.parametrize(("system", "code"), ORDINARY)
def test_what_is_ordinary_stays_ordinary(system: str, code: str) -> None:
    assert labelled(system, code) == {Coding(labels_system(), "N")}


RULES = {rule.id: rule for rule in BASELINE.labels.rules}


def test_every_shipped_set_is_tried_in_every_code_system_it_lists() -> None:
    assert RULES.keys() == SHIPPED.keys()
    aliases = {ICD: "icd-10", SNOMED: "snomed", LOINC: "loinc", ATC: "atc"}
    for name, (_, systems) in SHIPPED.items():
        assert RULES[name].codes.keys() == {aliases[system] for system in systems}
        assert RULES[name].source


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_code_can_be_a_code_of_its_system(rule: LabellingRule) -> None:
    for code in rule.codes["snomed"]:
        assert verhoeff(code) == 0, code
    for code in rule.codes["loinc"]:
        digits, check = code.split("-")
        assert luhn(digits) == int(check), code
    for code in rule.codes["icd-10"]:
        assert re.fullmatch(r"[A-Z][0-9]([0-9]([.]?[0-9])?)?\*", code), code
    for code in rule.codes.get("atc", ()):
        assert re.fullmatch(r"[A-Z][0-9]{2}[A-Z]([A-Z]([0-9]{1,2})?)?\*?", code), code


def luhn(digits: str) -> int:
    """The check digit of a LOINC code (LOINC Users' Guide, appendix on the Mod 10 check digit)."""
    doubled = str(int(digits[::-1][::2][::-1]) * 2)
    rest = digits[::-1][1::2]
    return -sum(map(int, doubled + rest)) % 10


_PERMUTED = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
for _ in range(6):
    _PERMUTED.append([_PERMUTED[-1][one] for one in _PERMUTED[1]])


def verhoeff(digits: str) -> int:
    """Zero for a number with a right check digit (SNOMED CT Release File Specification, check-digit)."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = _times(check, _PERMUTED[place % 8][int(digit)])
    return check


def _times(one: int, other: int) -> int:
    """Multiplication in the dihedral group D5."""
    if one < 5:
        return (one + other) % 5 if other < 5 else 5 + (one + other) % 5
    return 5 + (one - other) % 5 if other < 5 else (one - other) % 5


def test_a_mistyped_code_is_no_code() -> None:
    assert verhoeff("7200003") != 0
    assert verhoeff("2700002") != 0
    assert luhn("75627") != 2
    assert luhn("76526") != 2
