import pytest

from proxy.sandbox.interactions import Interactions
from tests.sandbox import made

REFUSED = [
    ("GET", "", 400),
    ("GET", "Unicorn", 404),
    ("GET", "Unicorn/1", 404),
    ("GET", "Patient/ann/Unicorn", 400),
    ("GET", "Patient/ann/$unicorn", 400),
    ("GET", "Organization/org/Observation", 400),
    ("GET", "Organization/org/$everything", 400),
    ("GET", "Patient/ann/_history/1/more", 400),
    ("GET", "Patient/_history?_count=x", 400),
    ("GET", "Patient/_history?_since=x", 400),
    ("DELETE", "Patient", 400),
    ("DELETE", "metadata", 405),
    ("PUT", "metadata", 405),
    ("POST", "Patient/ann", 405),
    ("POST", "Patient/_search", 415),
    ("PATCH", "Patient/ann", 415),
    ("PUT", "Patient/a_b", 400),
    ("PUT", "Patient?", 400),
]


@pytest.mark.parametrize(("method", "path", "status"), REFUSED)
def test_a_request_that_makes_no_sense_is_refused_with_an_outcome(
    method: str, path: str, status: int
) -> None:
    answer = made.small_world().answer(made.ask(method, path))

    assert answer.status == status
    assert made.read(answer)["resourceType"] == "OperationOutcome"


def test_a_read_gives_the_very_bytes_that_were_stored() -> None:
    world = made.small_world()

    assert (
        world.answer(made.ask("GET", "Patient/ann")).body is world.store.read("Patient", "ann").body
    )


def test_xml_is_not_understood() -> None:
    body = made.ask("POST", "Patient", b"<Patient/>", content_type="application/fhir+xml")

    assert made.small_world().answer(body).status == 415


def test_a_condition_that_says_nothing_is_refused() -> None:
    body = {"resourceType": "Patient"}

    assert (
        made.small_world().answer(made.ask("POST", "Patient", body, if_none_exist="")).status == 400
    )
    assert made.small_world().answer(made.ask("PUT", "Patient", body)).status == 400


def test_a_conditional_update_may_bring_its_own_id() -> None:
    world = made.small_world()
    body = {"resourceType": "Patient", "id": "mine"}

    created = world.answer(made.ask("PUT", "Patient?name=nobody", body))
    other = world.answer(made.ask("PUT", "Patient?_id=ann", body))

    assert (created.status, made.read(created)["id"]) == (201, "mine")
    assert other.status == 400


def test_a_patch_cannot_change_the_identity() -> None:
    document = [{"op": "replace", "path": "/id", "value": "other"}]
    ask = made.ask("PATCH", "Patient/ann", document, content_type="application/json-patch+json")

    assert made.small_world().answer(ask).status == 400


def test_r5_has_its_own_types_and_references() -> None:
    store = made.store("5.0.0")
    made.put(store, "MedicationRequest", "m", medication={"reference": made.to("Medication/x")})
    server = Interactions(store)

    found = made.read(server.answer(made.ask("GET", "MedicationRequest?medication=Medication/x")))

    assert made.ids(found) == ["m"]
    assert server.answer(made.ask("GET", "Permission")).status == 200
    assert server.answer(made.ask("GET", "Media")).status == 404
