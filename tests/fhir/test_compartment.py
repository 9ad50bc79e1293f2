"""The element tables against HL7's definitions: what a version says is about a patient, the tables know."""

import pytest

from proxy.fhir.compartment import ABOUT, AUTHORS, DATES, OPAQUE, TRANSPARENT
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of

SUBJECTS = (
    "subject",
    "patient",
    "for",
    "beneficiary",
    "candidate",
    "individual",
    "instance.subject",
)
"""How FHIR names the element that says whom a resource is about."""
EVERY = [(version, rtype) for version in FHIR_VERSIONS for rtype in sorted(definitions_of(version).resource_types)]  # fmt: skip


@pytest.mark.parametrize(("version", "rtype"), EVERY)
def test_every_element_that_names_the_patient_is_in_the_table(version: str, rtype: str) -> None:
    references = definitions_of(version).references[rtype]
    naming = {path for path in SUBJECTS if "Patient" in references.get(path, ())}
    assert rtype in OPAQUE or naming <= set(ABOUT.get(rtype, ()))


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_every_type_of_the_patient_compartment_is_about_somebody(version: str) -> None:
    members = definitions_of(version).compartment_patient
    references = definitions_of(version).references
    without = {
        rtype
        for rtype in members
        if rtype not in OPAQUE and set(ABOUT.get(rtype, ())).isdisjoint(references[rtype])
    }
    assert without == {"Patient"}


@pytest.mark.parametrize("table", [ABOUT, AUTHORS], ids=["about", "authors"])
def test_every_reference_of_the_tables_exists_in_some_version(
    table: dict[str, tuple[str, ...]],
) -> None:
    exists = {
        (rtype, path)
        for version in FHIR_VERSIONS
        for rtype, references in definitions_of(version).references.items()
        for path in references
    }
    rows = {(rtype, path) for rtype, paths in table.items() for path in paths}
    assert rows - exists == set()


def test_the_other_tables_speak_of_types_that_exist() -> None:
    types = frozenset().union(*(definitions_of(one).resource_types for one in FHIR_VERSIONS))
    assert types >= {*DATES, *OPAQUE}
    assert {tuple(path.split(".", 1)) for path in TRANSPARENT} <= {
        (rtype, path) for rtype, paths in ABOUT.items() for path in paths
    }


def test_who_wrote_a_resource_is_not_whom_it_is_about() -> None:
    both = {
        (rtype, path)
        for rtype, paths in AUTHORS.items()
        for path in paths
        if path in ABOUT.get(rtype, ())
    }
    assert both == set()
