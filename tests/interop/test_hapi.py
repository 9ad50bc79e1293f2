"""The HAPI FHIR server is the upstream that the other interoperability tests take it for."""

from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiohttp import ClientSession

from proxy.facts.carried import labels_carried
from tests.interop.asking import Ask
from tests.interop.resources import (
    LABEL,
    audit_event,
    bundle,
    bundle_of,
    get,
    new_id,
    observation,
    patient,
    put,
)

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def known(ask: Ask) -> str:
    """Id of a new patient who has one labelled observation."""
    patient_id = new_id()
    entries = put(patient(patient_id)), put(observation(new_id(), patient_id))
    status, _, _ = await ask("POST", "", body=bundle_of("transaction", *entries))
    assert status == 200
    return patient_id


async def test_metadata_says_r4_in_json(ask: Ask) -> None:
    status, headers, body = await ask("GET", "metadata")
    assert status == 200
    assert headers["Content-Type"].startswith("application/fhir+json")
    assert isinstance(body, dict)
    assert body["fhirVersion"] == "4.0.1"


async def test_a_client_chooses_the_id_of_what_it_creates(ask: Ask) -> None:
    id_ = new_id()
    status, headers, _ = await ask("PUT", f"Patient/{id_}", body=patient(id_))
    assert (status, headers["ETag"]) == (201, 'W/"1"')
    status, headers, body = await ask("GET", f"Patient/{id_}")
    assert (status, headers["ETag"]) == (200, 'W/"1"')
    assert isinstance(body, dict)
    assert body["id"] == id_


async def test_a_purely_numeric_client_id_is_refused(ask: Ask) -> None:
    status, _, _ = await ask("PUT", "Patient/123456", body=patient("123456"))
    assert status == 400


async def test_an_etag_saves_a_read_and_stops_a_stale_write(ask: Ask, known: str) -> None:
    path = f"Patient/{known}"
    status, _, _ = await ask("GET", path, {"If-None-Match": 'W/"1"'})
    assert status == 304
    changed = patient(known) | {"active": False}
    assert (await ask("PUT", path, {"If-Match": 'W/"1"'}, changed))[0] == 200
    assert (await ask("PUT", path, {"If-Match": 'W/"1"'}, patient(known)))[0] == 409


async def test_the_history_has_every_version(ask: Ask, known: str) -> None:
    path = f"Patient/{known}"
    await ask("PUT", path, body=patient(known) | {"active": False})
    status, _, body = await ask("GET", f"{path}/_history")
    assert (status, bundle(body).type, bundle(body).ids()) == (200, "history", [known, known])
    status, _, body = await ask("GET", f"{path}/_history/1")
    assert isinstance(body, dict)
    assert (status, body["active"]) == (200, True)


async def test_what_was_deleted_is_gone_and_what_never_was_is_not_found(ask: Ask) -> None:
    id_ = new_id()
    await ask("PUT", f"Patient/{id_}", body=patient(id_))
    assert (await ask("DELETE", f"Patient/{id_}"))[0] == 200
    assert (await ask("GET", f"Patient/{id_}"))[0] == 410
    assert (await ask("GET", f"Patient/{new_id()}"))[0] == 404


async def test_a_search_sees_the_write_before_it(ask: Ask, known: str) -> None:
    query = f"Observation?patient=Patient/{known}"
    assert bundle((await ask("GET", query))[2]).total == 1
    id_ = new_id()
    await ask("PUT", f"Observation/{id_}", body=observation(id_, known))
    assert id_ in bundle((await ask("GET", query))[2]).ids()
    await ask("DELETE", f"Observation/{id_}")
    assert id_ not in bundle((await ask("GET", query))[2]).ids()


async def test_a_search_entry_carries_its_security_labels(ask: Ask, known: str) -> None:
    found = bundle((await ask("GET", f"Observation?patient={known}"))[2])
    assert [entry.resource and entry.resource["meta"]["security"] for entry in found.entry] == [
        [LABEL]
    ]


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("Observation?patient={}&_include=Observation:patient", ["Observation", "Patient"]),
        ("Patient?_id={}&_revinclude=Observation:patient", ["Patient", "Observation"]),
        ("Patient?_id={}&_has:Observation:patient:status=final", ["Patient"]),
        ("Observation?patient={}&patient.active=true", ["Observation"]),
    ],
)
async def test_a_search_follows_references(
    ask: Ask, known: str, query: str, kinds: list[str]
) -> None:
    found = bundle((await ask("GET", query.format(known)))[2])
    assert [entry.resource and entry.resource["resourceType"] for entry in found.entry] == kinds


async def test_next_links_lead_through_every_page(ask: Ask, known: str) -> None:
    ids = {new_id() for _ in range(12)}
    written = [put(observation(id_, known)) for id_ in ids]
    await ask("POST", "", body=bundle_of("transaction", *written))
    pages: list[list[str]] = []
    link: str | None = f"Observation?patient={known}&_count=5"
    while link is not None:
        page = bundle((await ask("GET", link))[2])
        pages.append(page.ids())
        link = page.next()
    assert [len(page) for page in pages] == [5, 5, 3]
    assert ids < {id_ for page in pages for id_ in page}


@pytest.mark.parametrize(("count", "entries"), [("", 20), ("&_count=1000", 250), ("&_count=7", 7)])
async def test_a_page_has_twenty_entries_unless_asked_and_up_to_a_thousand(
    ask: Ask, count: str, entries: int
) -> None:
    tag = {"system": "urn:test", "code": new_id()}
    written = [put(patient(new_id()) | {"meta": {"tag": [tag]}}) for _ in range(250)]
    await ask("POST", "", body=bundle_of("transaction", *written))
    found = bundle((await ask("GET", f"Patient?_tag={tag['code']}{count}"))[2])
    assert len(found.entry) == entries


async def test_an_unknown_parameter_is_refused_unless_the_client_is_lenient(ask: Ask) -> None:
    assert (await ask("GET", "Observation?nonsense=1"))[0] == 400
    assert (await ask("GET", "Observation?nonsense=1", {"Prefer": "handling=lenient"}))[0] == 200


async def test_an_unknown_parameter_that_begins_with_an_underscore_is_ignored(
    ask: Ask, known: str
) -> None:
    status, _, body = await ask("GET", f"Patient?_id={known}&_nonsense=1")
    assert (status, bundle(body).ids()) == (200, [known])


@pytest.mark.parametrize("parameter", ["_id:unicorn", "_id:exact"])
async def test_an_unknown_modifier_of_a_token_is_ignored(
    ask: Ask, known: str, parameter: str
) -> None:
    status, _, body = await ask("GET", f"Patient?{parameter}={known}")
    assert (status, bundle(body).ids()) == (200, [known])


async def test_a_search_with_many_matches_has_a_total_only_on_request(ask: Ask) -> None:
    tag = {"system": "urn:test", "code": new_id()}
    written = [put(patient(new_id()) | {"meta": {"tag": [tag]}}) for _ in range(60)]
    await ask("POST", "", body=bundle_of("transaction", *written))
    query = f"Patient?_tag={tag['code']}&_count=5"
    assert bundle((await ask("GET", query))[2]).total is None
    assert bundle((await ask("GET", f"{query}&_total=accurate"))[2]).total == 60


async def test_a_batch_answers_each_entry_for_itself(ask: Ask, known: str) -> None:
    entries = get(f"Patient/{known}"), get(f"Patient/{new_id()}")
    status, _, body = await ask("POST", "", body=bundle_of("batch", *entries))
    assert (status, bundle(body).type) == (200, "batch-response")
    assert bundle(body).statuses() == ["200", "404"]


async def test_a_transaction_is_written_whole_or_not_at_all(ask: Ask) -> None:
    good, bad = new_id(), observation(new_id(), new_id())
    status, _, _ = await ask(
        "POST", "", body=bundle_of("transaction", put(patient(good)), put(bad))
    )
    assert status == 400
    assert (await ask("GET", f"Patient/{good}"))[0] == 404


async def test_a_transaction_believes_the_url_and_not_the_body_about_an_id(ask: Ask) -> None:
    in_url, in_body = new_id(), new_id()
    entry = put(patient(in_body)) | {"request": {"method": "PUT", "url": f"Patient/{in_url}"}}
    assert (await ask("POST", "", body=bundle_of("transaction", entry)))[0] == 200
    assert (await ask("GET", f"Patient/{in_url}"))[0] == 200
    assert (await ask("GET", f"Patient/{in_body}"))[0] == 404


async def test_an_update_without_labels_keeps_the_labels(ask: Ask, known: str) -> None:
    path, labelled = f"Patient/{known}", patient(known) | {"meta": {"security": [LABEL]}}
    await ask("PUT", path, body=labelled)
    await ask("PUT", path, body=patient(known) | {"active": False})
    _, _, body = await ask("GET", path)
    assert isinstance(body, dict)
    assert (body["active"], body["meta"]["security"]) == (False, [LABEL])


async def test_a_patient_named_by_an_audit_event_cannot_be_deleted(ask: Ask) -> None:
    patient_id, id_ = new_id(), f"gw-{uuid4()}"
    await ask("PUT", f"Patient/{patient_id}", body=patient(patient_id))
    event = audit_event(id_, entity=[{"what": {"reference": f"Patient/{patient_id}"}}])
    await ask("PUT", f"AuditEvent/{id_}", body=event)
    assert (await ask("DELETE", f"Patient/{patient_id}"))[0] == 409


async def test_conditional_operations_find_their_target_by_search(ask: Ask, known: str) -> None:
    status, _, body = await ask(
        "POST", "Patient", {"If-None-Exist": f"_id={known}"}, patient(known)
    )
    assert isinstance(body, dict)
    assert (status, body["id"]) == (200, known)
    changed = {"resourceType": "Patient", "active": False}
    assert (await ask("PUT", f"Patient?_id={known}", body=changed))[0] == 200
    assert (await ask("DELETE", f"Observation?patient={known}"))[0] == 200


async def test_prefer_return_is_honoured(ask: Ask) -> None:
    id_ = new_id()
    minimal = {"Prefer": "return=minimal"}
    assert (await ask("PUT", f"Patient/{id_}", minimal, patient(id_)))[2] is None


@pytest.mark.parametrize("spelling", [b"0.010", b"100", b"1.00000000000000000000000001"])
async def test_a_decimal_keeps_its_digits(hapi: str, ask: Ask, known: str, spelling: bytes) -> None:
    id_ = new_id()
    written = orjson.dumps(observation(id_, known) | {"valueQuantity": {"value": "here"}})
    await ask("PUT", f"Observation/{id_}", body=written.replace(b'"here"', spelling))
    assert await decimal_text(hapi, id_) == spelling


async def decimal_text(hapi: str, id_: str) -> bytes:
    async with ClientSession() as session, session.get(f"{hapi}/Observation/{id_}") as answer:
        return (await answer.read()).split(b'"value":')[1].split(b"}")[0]


async def test_an_audit_event_is_written_once_under_the_id_of_its_journal_entry(ask: Ask) -> None:
    id_ = f"gw-{uuid4()}"
    assert (await ask("PUT", f"AuditEvent/{id_}", body=audit_event(id_)))[0] == 201
    status, headers, _ = await ask("PUT", f"AuditEvent/{id_}", body=audit_event(id_))
    assert (status, headers["ETag"]) == (200, 'W/"1"')


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ({"reference": "Patient/{known}"}, 201),
        ({"reference": "Patient/never-written"}, 400),
        ({"reference": "http://gateway.example.org/fhir/Patient/{known}"}, 400),
        ({"type": "Patient", "identifier": {"value": "never-written"}}, 201),
    ],
    ids=["relative", "dangling", "absolute", "logical"],
)
async def test_an_audit_event_may_name_only_what_the_server_has(
    ask: Ask, known: str, reference: dict[str, Any], status: int
) -> None:
    id_ = f"gw-{uuid4()}"
    what = orjson.loads(orjson.dumps(reference).replace(b"{known}", known.encode()))
    event = audit_event(id_, entity=[{"what": what}])
    assert (await ask("PUT", f"AuditEvent/{id_}", body=event))[0] == status


async def test_facts_about_somebody_unknown_are_an_empty_searchset(ask: Ask) -> None:
    for query in ("Consent?patient=Patient/{}&_count=50", "CareTeam?patient={}",
                  "PractitionerRole?practitioner=Practitioner/{}", "Patient?_id={}"):  # fmt: skip
        status, _, body = await ask("GET", query.format(new_id()))
        assert (status, bundle(body).entry, bundle(body).next()) == (200, [], None)


async def test_an_empty_parameter_is_ignored_so_the_proxy_must_never_send_one(
    ask: Ask, known: str
) -> None:
    _, _, body = await ask("GET", "Observation?patient=&_count=1000")
    assert len(bundle(body).entry) > 0
    assert known in {str(entry.resource).partition("Patient/")[2][: len(known)]
                     for entry in bundle(body).entry}  # fmt: skip


@pytest.mark.parametrize("kind", ["Observation", "Patient"])
async def test_250_patients_fit_into_one_posted_search(ask: Ask, kind: str) -> None:
    ids = [new_id() for _ in range(250)]
    both = [put(patient(id_)) for id_ in ids] + [put(observation(id_, id_)) for id_ in ids]
    await ask("POST", "", body=bundle_of("transaction", *both))
    asked = {"Observation": "patient", "Patient": "_id"}[kind] + "=" + ",".join(ids)
    _, _, body = await ask("POST", f"{kind}/_search", FORM, f"{asked}&_count=1000")
    assert sorted(bundle(body).ids()) == sorted(ids)


async def test_a_url_longer_than_eight_kilobytes_is_refused(ask: Ask) -> None:
    assert (await ask("GET", "Patient?_id=" + "a," * 3900))[0] == 200
    assert (await ask("GET", "Patient?_id=" + "a," * 4100))[0] in {414, 431}


async def test_a_binary_is_found_by_id_with_its_labels_and_without_its_content(ask: Ask) -> None:
    """What the gateway asks before it shows where an attachment is (threat T-79)."""
    own = new_id()
    binary = {
        "resourceType": "Binary",
        "id": own,
        "meta": {"security": [LABEL]},
        "contentType": "text/plain",
        "data": "Q0FOQVJZ",
    }
    headers = {"Content-Type": "application/fhir+json"}
    status, _, _ = await ask("PUT", f"Binary/{own}", body=binary, headers=headers)
    assert status == 201
    elements = "id,meta,contentType,securityContext"
    status, _, found = await ask("GET", f"Binary?_id={own}&_elements={elements}")
    assert status == 200
    assert isinstance(found, dict)
    [entry] = found["entry"]
    assert entry["resource"]["id"] == own
    assert [one["code"] for one in entry["resource"]["meta"]["security"]] == [LABEL["code"]]
    assert "data" not in entry["resource"]


async def test_the_watch_over_labels_finds_none_missing(ask: Ask, known: str) -> None:
    async def asked(target: str) -> tuple[int, bytes]:
        status, _, body = await ask("GET", target)
        return status, orjson.dumps(body)

    carried = await labels_carried(asked)
    assert carried.compared > 0
    assert carried.lost == frozenset()
