import pytest

from proxy.sandbox.integrity import require_targets, require_unreferenced
from proxy.sandbox.model import FhirError
from tests.sandbox import made

FINE = [
    "Patient/ann",
    "Patient/ann/_history/1",
    "#inside",
    "urn:uuid:1",
    "http://far/fhir/Patient/x",
    "Unicorn/1",
]
DANGLING = ["Patient/nobody", "Group/ann"]


@pytest.mark.parametrize("reference", FINE)
def test_a_reference_to_what_is_there_or_elsewhere_is_fine(reference: str) -> None:
    store = made.small_world().store

    require_targets(store, made.put(store, "Observation", "x", subject=made.to(reference)))


@pytest.mark.parametrize("reference", DANGLING)
def test_a_dangling_reference_is_refused(reference: str) -> None:
    store = made.small_world().store

    with pytest.raises(FhirError) as refused:
        require_targets(store, made.put(store, "Observation", "x", subject=made.to(reference)))
    assert refused.value.status == 400


def test_what_is_referred_to_must_stay() -> None:
    store = made.small_world().store

    with pytest.raises(FhirError) as refused:
        require_unreferenced(store, "Patient", "ann")
    assert refused.value.status == 409
    require_unreferenced(store, "Patient", "bob")
    require_unreferenced(store, "Patient", "an")
