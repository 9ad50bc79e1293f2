import pytest

from proxy.audit import balp
from proxy.fhir.coding import Coding
from tests.audit.balp import codes, profile

PROFILED = {code: shape for code, shape in balp.SHAPES.items() if shape.profile}


def fixed(url: str, element: str) -> Coding:
    concept = profile(url)[element]["patternCodeableConcept"]["coding"][0]
    return Coding(concept["system"], concept["code"])


@pytest.mark.parametrize("code", PROFILED)
@pytest.mark.parametrize("patient", [False, True])
def test_the_table_says_what_the_published_profile_says(code: str, patient: bool) -> None:
    shape = PROFILED[code]
    url = balp.profile_url(shape, patient=patient)
    elements = profile(url)
    assert fixed(url, "AuditEvent.agent:client.type") == shape.client
    assert fixed(url, "AuditEvent.agent:server.type") == shape.server
    assert elements["AuditEvent.action"]["patternCode"] == shape.action
    assert elements["AuditEvent.outcome"]["patternCode"] == balp.SUCCESS
    assert ("AuditEvent.entity:patient" in elements) == patient
    about = "query" if shape.about is balp.About.QUERY else "data"
    assert f"AuditEvent.entity:{about}" in elements


@pytest.mark.parametrize("code", PROFILED)
def test_interactions_are_those_of_the_published_value_sets(code: str) -> None:
    elements = profile(balp.profile_url(PROFILED[code], patient=False))
    subtypes = [one for name, one in elements.items() if name.startswith("AuditEvent.subtype:")]
    for element in subtypes:
        value_set = element.get("binding", {}).get("valueSet", "")
        allowed = {one for _, one in codes(value_set)} or {element["patternCoding"]["code"]}
        assert code in allowed
    assert subtypes


def test_only_in_reads_the_client_is_the_destination() -> None:
    swapped = {code for code, one in PROFILED.items() if one.client == balp.DESTINATION}
    assert swapped == {"read", "vread"}


def test_what_has_no_profile_claims_none() -> None:
    histories = ("history-instance", "history-type", "history-system", "capabilities")
    for shape in (balp.OTHER, *map(balp.SHAPES.__getitem__, histories)):
        assert balp.profile_url(shape, patient=True) == ""
