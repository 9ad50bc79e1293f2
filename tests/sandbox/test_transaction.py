import pytest

from tests.sandbox import made

PATIENT = {"resourceType": "Patient"}


def bundle(*entries: made.Json, kind: str = "transaction") -> made.Json:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: made.Json | None = None, **request: str) -> made.Json:
    body = {"resource": resource} if resource is not None else {}
    return body | {"request": {"method": method, "url": url} | request}


WRONG: list[object] = [
    {},
    {"resourceType": "Bundle"},
    {"resourceType": "Patient", "type": "transaction"},
    {"resourceType": "Bundle", "type": "searchset"},
    bundle({"resource": PATIENT}),
    bundle(entry("FLY", "Patient/x")),
    bundle(entry("PUT", "Patient/x", {"resourceType": "Patient"})),
    bundle(entry("POST", "Unicorn", {"resourceType": "Unicorn"})),
    bundle(entry("GET", "Patient/x/$unicorn")),
    bundle(entry("PATCH", "Patient/ann", PATIENT)),
    bundle(entry("DELETE", "Patient/ann"), entry("DELETE", "Patient/ann")),
]


@pytest.mark.parametrize("body", WRONG)
def test_a_wrong_bundle_is_refused_and_changes_nothing(body: object) -> None:
    world = made.small_world()
    before = world.store.history()

    answer = world.answer(made.ask("POST", "", body))

    assert 400 <= answer.status < 500
    assert made.read(answer)["resourceType"] == "OperationOutcome"
    assert world.store.history() == before


def test_deletes_come_first_and_reads_last_but_answers_keep_the_order() -> None:
    world = made.small_world()
    body = bundle(
        entry("GET", "Patient?_count=10"),
        entry("POST", "Patient", PATIENT),
        entry("DELETE", "Patient/bob"),
    )

    found = made.read(world.answer(made.ask("POST", "", body)))

    assert made.ids(found["entry"][0]["resource"]) == ["ann", "n1"]
    assert [e["response"]["status"][:3] for e in found["entry"]] == ["200", "201", "200"]


def test_full_urls_that_are_no_urn_are_resolved_too() -> None:
    world = made.small_world()
    url = "http://elsewhere/fhir/Patient/7"
    observation = {"resourceType": "Observation", "subject": made.to(url)}
    body = bundle(
        entry("POST", "Observation", observation),
        entry("POST", "Patient", PATIENT) | {"fullUrl": url},
    )

    world.answer(made.ask("POST", "", body))

    (new,) = (v for v in world.store.everything("Observation").values() if v.id != "obs")
    assert made.resource(new)["subject"] == made.to("Patient/n2")


def test_two_conditional_creates_may_meet_one_resource() -> None:
    world = made.small_world()
    one = entry("POST", "Patient", PATIENT, ifNoneExist="_id=ann")

    found = made.read(world.answer(made.ask("POST", "", bundle(one, one))))

    assert [e["response"]["location"] for e in found["entry"]] == ["Patient/ann/_history/1"] * 2


def test_a_batch_goes_on_after_a_failure() -> None:
    world = made.small_world()
    body = bundle(
        entry("DELETE", "Patient/bob"),
        entry("PUT", "Patient/x", {"resourceType": "Patient", "id": "y"}),
        entry("GET", "Patient/ann"),
        kind="batch",
    )

    found = made.read(world.answer(made.ask("POST", "", body)))

    assert [e["response"]["status"][:3] for e in found["entry"]] == ["200", "400", "200"]
    assert world.store.current("Patient", "bob") is None


def test_if_match_in_an_entry_guards_it() -> None:
    world = made.small_world()
    ann = {"resourceType": "Patient", "id": "ann", "gender": "female"}

    stale = world.answer(
        made.ask("POST", "", bundle(entry("PUT", "Patient/ann", ann, ifMatch='W/"9"')))
    )

    assert stale.status == 409
    assert world.store.read("Patient", "ann").version == 1
