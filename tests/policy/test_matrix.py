import pytest

from proxy.errors import UnusableError
from proxy.fhir.coding import Coding
from proxy.policy.matrix import matrix_of
from proxy.policy.parse import parse
from proxy.policy.terms import Terms
from tests.policy.packs import TERMS

TERMS_READ = parse("terms.yaml", TERMS, Terms).content
SCT = "http://snomed.info/sct"
GOOD = "type,title,physician,nurse\nsct#1,One,Y,N\nsct#2,Two,,Y\n"


def test_a_cell_is_yes_no_or_unknown() -> None:
    matrix = matrix_of("m.csv", GOOD, TERMS_READ)
    assert matrix.cell("physician", Coding(SCT, "1")) is True
    assert matrix.cell("nurse", Coding(SCT, "1")) is False
    assert matrix.cell("physician", Coding(SCT, "2")) is None
    assert matrix.cell("physician", Coding(SCT, "3")) is None
    assert matrix.cell("pharmacist", Coding(SCT, "1")) is None


BROKEN = [
    ("", [(1, "first columns")]),
    ("type,physician\n", [(1, "first columns")]),
    (GOOD.replace("nurse", "wizard"), [(1, "`wizard` is no role")]),
    (GOOD.replace("nurse", "physician"), [(1, "more than one column")] * 2),
    (GOOD.replace("One,Y,N", "One,Y"), [(2, "3 cells where the header has 4")]),
    (GOOD.replace("One,Y", "One,yes"), [(2, "`yes` is neither")]),
    (GOOD.replace("sct#2", "icd10#2"), [(3, "`icd10#2` is no code")]),
    (GOOD.replace("sct#2", "sct"), [(3, "`sct` is no code")]),
    (GOOD.replace("Two", "T\rwo"), [(3, "not CSV")]),
    (GOOD.replace("Two", "T" * 200_000), [(3, "not CSV")]),
    (GOOD.replace("One", '"On\ne"').replace("sct#2", "sct"), [(4, "`sct` is no code")]),
    (GOOD.replace("sct#2", "sct#1"), [(3, "has a row already")]),
]


@pytest.mark.parametrize(("text", "findings"), BROKEN)
def test_a_broken_matrix_is_told_by_line(text: str, findings: list[tuple[int, str]]) -> None:
    with pytest.raises(UnusableError) as caught:
        matrix_of("m.csv", text, TERMS_READ)
    assert [finding.line for finding in caught.value.findings] == [line for line, _ in findings]
    for found, (_, message) in zip(caught.value.findings, findings, strict=True):
        assert message in found.message


def test_blank_lines_say_nothing() -> None:
    assert matrix_of("m.csv", GOOD.replace("sct#2", "\nsct#2"), TERMS_READ) == matrix_of(
        "m.csv", GOOD, TERMS_READ
    )
