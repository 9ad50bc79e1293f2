import pytest

from proxy.fhir.compartment import SOURCES
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.fhir.sources import DOCUMENTS, sources_of


@pytest.mark.parametrize("rtype", sorted(SOURCES))
def test_every_type_that_names_its_sources_is_one_of_fhir(rtype: str) -> None:
    assert any(rtype in definitions_of(version).resource_types for version in FHIR_VERSIONS)


@pytest.mark.parametrize("kind", sorted(DOCUMENTS))
def test_only_documents_give_their_labels_on(kind: str) -> None:
    tree = {"derivedFrom": [{"reference": f"{kind}/d"}, {"reference": "Media/m"}]}
    assert sources_of(tree, "Observation", lambda text: text) == {f"{kind}/d"}
    assert sources_of(tree, "Condition", lambda text: text) == frozenset()
