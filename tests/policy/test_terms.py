import pytest

from proxy.errors import UnusableError
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.policy.parse import parse
from proxy.policy.terms import Terms
from tests.policy.packs import TERMS

TERMS_READ = parse("terms.yaml", TERMS, Terms).content

SPELLINGS = [
    (Coding("urn:fr", "MASQUE_PS"), Coding("urn:fr", "MASQUE_PS")),
    (Coding("urn:fr", "masque_ps"), Coding("urn:fr", "MASQUE_PS")),
    (Coding("urn:fr", "Masque"), Coding("urn:fr", "MASQUE_PS")),
    (Coding("urn:oid:2.16.840.1.113883.5.25", "R"), Coding(CONFIDENTIALITY, "R")),
    (Coding(CONFIDENTIALITY, "r"), Coding(CONFIDENTIALITY, "r")),
    (Coding("urn:elsewhere", "x"), Coding("urn:elsewhere", "x")),
]


@pytest.mark.parametrize(("seen", "meant"), SPELLINGS)
def test_a_coding_has_one_spelling(seen: Coding, meant: Coding) -> None:
    assert TERMS_READ.normalise(seen) == meant
    assert TERMS_READ.normalise(meant) == meant


def test_a_label_stands_for_the_coding_that_a_resource_carries_after_normalising() -> None:
    assert TERMS_READ.coding("fr#masque") == TERMS_READ.normalise(Coding("urn:fr", "MASQUE_PS"))
    assert TERMS_READ.coding("conf#R") == Coding(CONFIDENTIALITY, "R")


def test_a_role_means_its_codes_in_every_spelling_of_their_system() -> None:
    assert TERMS_READ.role("physician") == {Coding("http://snomed.info/sct", "309343006")}
    assert Coding("urn:oid:2.16.840.1.113883.5.25", "R") in TERMS_READ.codings("conf#R")
    assert TERMS_READ.organization_type("insurer") == {Coding("http://snomed.info/sct", "1")}


def test_a_name_that_is_not_there_is_an_error_and_never_an_empty_set() -> None:
    with pytest.raises(KeyError):
        TERMS_READ.role("wizard")
    with pytest.raises(KeyError):
        TERMS_READ.coding("nowhere#x")


def test_a_text_is_had_by_its_name_and_any_other_stands_for_itself() -> None:
    terms = parse("terms.yaml", TERMS + 'texts: {beware: "Beware."}\n', Terms).content
    assert (terms.text("beware"), terms.text("Mind it.")) == ("Beware.", "Mind it.")


def test_a_text_that_cannot_stand_in_a_header_is_found_with_its_line() -> None:
    with pytest.raises(UnusableError) as raised:
        parse("terms.yaml", TERMS + 'texts:\n  beware: "d\u00e9j\u00e0"\n', Terms)
    [finding] = raised.value.findings
    line = TERMS.count("\n") + 2
    assert str(finding).startswith(f"terms.yaml:{line}: the warning cannot stand in a header")
