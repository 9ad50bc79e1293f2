"""Conformance cases of interactions, headers, paging, bundles and errors; importing this adds them to `CASES`."""

import re

from tests.sandbox.conformance import (
    TAG,
    Client,
    Json,
    case,
    entries,
    get,
    is_outcome,
    link,
    observation,
    patient,
    populate,
    put,
    send,
    statuses,
    tagged,
)

NUMBERS = (
    b'{"resourceType":"Observation","id":"%b","status":"final","code":{"text":"\\u00e9 / \xc3\xa9"},'
    b'"component":[{"code":{"text":"a"},"valueQuantity":{"value":0.010}},'
    b'{"code":{"text":"b"},"valueQuantity":{"value":1.50}}]}'
)

# Reading


@case()
async def a_read_gives_the_resource_with_its_version_headers(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))

    reply = await get(c, f"Patient/{p}-pat")

    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/fhir+json")
    assert reply.headers["etag"] == 'W/"1"'
    assert reply.headers["content-location"].endswith(f"/Patient/{p}-pat/_history/1")
    assert "GMT" in reply.headers["last-modified"]
    resource = reply.json
    assert (resource["id"], resource["gender"]) == (f"{p}-pat", "female")
    assert resource["meta"]["versionId"] == "1"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)", resource["meta"]["lastUpdated"])


@case()
async def an_unknown_id_is_404_with_an_outcome(c: Client, p: str) -> None:
    reply = await get(c, f"Patient/{p}-nobody")

    assert reply.status == 404
    assert is_outcome(reply)


@case()
async def an_unknown_type_is_refused_with_an_outcome(c: Client, _p: str) -> None:
    for path in ("Unicorn/1", "Unicorn", "Unicorn?_id=1"):
        reply = await get(c, path)
        assert reply.status in {400, 404}
        assert is_outcome(reply)


@case()
async def a_matching_etag_is_304_without_a_body(c: Client, p: str) -> None:
    await put(c, patient(p))

    same = await get(c, f"Patient/{p}-pat", if_none_match='W/"1"')
    other = await get(c, f"Patient/{p}-pat", if_none_match='W/"7"')

    assert (same.status, same.body) == (304, b"")
    assert other.status == 200


@case()
async def decimals_keep_their_digits(c: Client, p: str) -> None:
    await send(c, "PUT", f"Observation/{p}-num", NUMBERS % f"{p}-num".encode())

    body = (await get(c, f"Observation/{p}-num")).body

    assert re.findall(rb'"value": ?([0-9.]+)', body) == [b"0.010", b"1.50"]


@case(hapi=False)
async def every_spelling_of_a_number_is_kept(c: Client, p: str) -> None:
    body = NUMBERS.replace(b"1.50", b"1E+2").replace(b"0.010", b"12345678901234567890123")
    await send(c, "PUT", f"Observation/{p}-num", body % f"{p}-num".encode())

    kept = (await get(c, f"Observation/{p}-num")).body

    assert b'"value":12345678901234567890123}' in kept
    assert b'"value":1E+2}' in kept
    assert rb'"\u00e9 / ' in kept


@case()
async def a_version_is_read_by_its_number(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    await put(c, patient(p, gender="male"))

    first = await get(c, f"Patient/{p}-pat/_history/1")
    second = await get(c, f"Patient/{p}-pat/_history/2")
    third = await get(c, f"Patient/{p}-pat/_history/3")

    assert (first.json["gender"], first.headers["etag"]) == ("female", 'W/"1"')
    assert (second.json["gender"], second.headers["etag"]) == ("male", 'W/"2"')
    assert third.status == 404


@case()
async def the_history_of_an_instance_is_newest_first(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    await put(c, patient(p, gender="male"))
    await c.ask("DELETE", f"Patient/{p}-pat")

    bundle = (await get(c, f"Patient/{p}-pat/_history")).json

    assert (bundle["type"], bundle["total"]) == ("history", 3)
    assert [e["request"]["method"] for e in bundle["entry"]][:2] == ["DELETE", "PUT"]
    assert "resource" not in bundle["entry"][0]
    assert [e["resource"]["meta"]["versionId"] for e in bundle["entry"][1:]] == ["2", "1"]


@case()
async def the_history_of_a_type_is_a_history_bundle(c: Client, p: str) -> None:
    await put(c, patient(p))

    bundle = (await get(c, "Patient/_history?_count=5")).json

    assert bundle["type"] == "history"
    assert all(e["fullUrl"].startswith(c.url + "/Patient/") for e in bundle["entry"])


# Creating and updating


@case()
async def a_create_gives_a_new_id_and_its_location(c: Client, p: str) -> None:
    given = tagged(p, "Patient", "mine", gender="female")

    reply = await send(c, "POST", "Patient", given)

    assert reply.status == 201
    ident = reply.json["id"]
    assert ident != given["id"]
    assert reply.headers["location"] == f"{c.url}/Patient/{ident}/_history/1"
    assert reply.headers["etag"] == 'W/"1"'
    assert (await get(c, f"Patient/{ident}")).json["gender"] == "female"


@case()
async def prefer_minimal_gives_no_body(c: Client, p: str) -> None:
    reply = await put(c, patient(p), prefer="return=minimal")

    assert (reply.status, reply.body) == (201, b"")


@case()
async def prefer_representation_gives_the_resource(c: Client, p: str) -> None:
    reply = await put(c, patient(p), prefer="return=representation")

    assert (reply.status, reply.json["id"]) == (201, f"{p}-pat")


@case()
async def an_update_makes_the_next_version(c: Client, p: str) -> None:
    first = await put(c, patient(p, gender="female"))
    second = await put(c, patient(p, gender="male"))

    assert (first.status, second.status) == (201, 200)
    assert second.headers["etag"] == 'W/"2"'
    assert (await get(c, f"Patient/{p}-pat")).json["meta"]["versionId"] == "2"


@case()
async def an_update_that_changes_nothing_makes_no_version(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))

    again = await put(c, patient(p, gender="female"))

    assert (again.status, again.headers["etag"]) == (200, 'W/"1"')


@case()
async def an_update_with_another_id_than_the_url_is_400(c: Client, p: str) -> None:
    for body in (patient(p, "other"), {"resourceType": "Patient"}):
        reply = await send(c, "PUT", f"Patient/{p}-pat", body)
        assert reply.status == 400
        assert is_outcome(reply)


@case()
async def a_body_of_another_type_is_400(c: Client, p: str) -> None:
    reply = await send(c, "PUT", f"Observation/{p}-pat", patient(p))

    assert reply.status == 400
    assert is_outcome(reply)


@case()
async def a_broken_body_is_400(c: Client, p: str) -> None:
    for body in (b"{", b"[]", b'{"resourceType":"Unicorn"}'):
        reply = await send(c, "POST", "Patient", body)
        assert reply.status == 400, body
        assert is_outcome(reply)
    assert (await get(c, f"Patient/{p}-pat")).status == 404


@case()
async def if_match_guards_an_update(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))

    right = await put(c, patient(p, gender="male"), if_match='W/"1"')
    stale = await put(c, patient(p, gender="other"), if_match='W/"1"')

    assert right.status == 200
    assert stale.status in {409, 412}
    assert (await get(c, f"Patient/{p}-pat")).json["gender"] == "male"


@case()
async def if_none_exist_creates_once(c: Client, p: str) -> None:
    body = tagged(p, "Patient", "x", identifier=[{"system": f"urn:c:{p}", "value": "1"}])
    condition = f"identifier=urn:c:{p}|1"

    first = await send(c, "POST", "Patient", body, if_none_exist=condition)
    second = await send(c, "POST", "Patient", body, if_none_exist=condition)

    assert (first.status, second.status) == (201, 200)
    assert first.headers["location"] == second.headers["location"]


@case()
async def if_none_exist_with_many_matches_is_412(c: Client, p: str) -> None:
    for name in ("a", "b"):
        await put(c, patient(p, name))

    reply = await send(c, "POST", "Patient", patient(p), if_none_exist=f"_tag={TAG}|{p}")

    assert reply.status == 412
    assert is_outcome(reply)


@case()
async def a_conditional_update_creates_updates_or_refuses(c: Client, p: str) -> None:
    path = f"Patient?identifier=urn:c:{p}|1"
    body: Json = {"resourceType": "Patient", "identifier": [{"system": f"urn:c:{p}", "value": "1"}]}

    created = await send(c, "PUT", path, body)
    updated = await send(c, "PUT", path, body | {"gender": "male"})
    await send(c, "POST", "Patient", body)
    refused = await send(c, "PUT", path, body | {"gender": "other"})

    assert (created.status, updated.status, refused.status) == (201, 200, 412)
    assert updated.json["id"] == created.json["id"]
    assert updated.json["meta"]["versionId"] == "2"


@case()
async def a_json_patch_changes_one_element(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female", active=True))
    document = [
        {"op": "replace", "path": "/gender", "value": "male"},
        {"op": "add", "path": "/birthDate", "value": "1990-01-01"},
        {"op": "remove", "path": "/active"},
    ]

    reply = await send(
        c, "PATCH", f"Patient/{p}-pat", document, content_type="application/json-patch+json"
    )

    assert reply.status == 200
    patched = (await get(c, f"Patient/{p}-pat")).json
    assert (patched["gender"], patched["birthDate"]) == ("male", "1990-01-01")
    assert "active" not in patched
    assert patched["meta"]["versionId"] == "2"


@case()
async def a_patch_of_nothing_is_an_error(c: Client, p: str) -> None:
    document = [{"op": "replace", "path": "/gender", "value": "male"}]

    reply = await send(
        c, "PATCH", f"Patient/{p}-no", document, content_type="application/json-patch+json"
    )

    assert reply.status == 404


# Deleting


@case()
async def a_deleted_resource_is_gone_but_its_versions_stay(c: Client, p: str) -> None:
    await put(c, patient(p))

    deleted = await c.ask("DELETE", f"Patient/{p}-pat")

    assert deleted.status in {200, 204}
    gone = await get(c, f"Patient/{p}-pat")
    assert gone.status == 410
    assert is_outcome(gone)
    assert (await get(c, f"Patient/{p}-pat/_history/1")).status == 200
    assert (await get(c, f"Patient/{p}-pat/_history/2")).status == 410
    assert entries((await get(c, f"Patient?_id={p}-pat")).json) == []


@case()
async def deleting_what_is_not_there_is_no_error(c: Client, p: str) -> None:
    assert (await c.ask("DELETE", f"Patient/{p}-nobody")).status in {200, 204}


@case()
async def a_deleted_resource_can_be_put_again(c: Client, p: str) -> None:
    await put(c, patient(p))
    await c.ask("DELETE", f"Patient/{p}-pat")

    again = await put(c, patient(p))

    assert again.status in {200, 201}
    assert (await get(c, f"Patient/{p}-pat")).json["meta"]["versionId"] == "3"


@case()
async def a_conditional_delete_takes_the_only_match(c: Client, p: str) -> None:
    await put(c, patient(p))

    deleted = await c.ask("DELETE", f"Patient?_tag={TAG}|{p}&_id={p}-pat")

    assert deleted.status in {200, 204}
    assert (await get(c, f"Patient/{p}-pat")).status == 410


# Searching


@case()
async def a_searchset_says_what_it_is(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Patient?_tag={TAG}|{p}&_total=accurate")).json

    assert (bundle["type"], bundle["total"]) == ("searchset", 3)
    assert (link(bundle, "self") or "").startswith(f"{c.url}/Patient?")
    assert link(bundle, "next") is None
    first = bundle["entry"][0]
    assert first["fullUrl"] == f"{c.url}/Patient/{first['resource']['id']}"
    assert first["search"]["mode"] == "match"


@case()
async def pages_are_linked_both_ways_and_complete(c: Client, p: str) -> None:
    for i in range(5):
        await put(c, patient(p, f"n{i}"))

    first = (await get(c, f"Patient?_tag={TAG}|{p}&_count=2&_sort=_id")).json
    second = (await get(c, link(first, "next") or "")).json
    third = (await get(c, link(second, "next") or "")).json
    back = (await get(c, link(second, "previous") or "")).json

    seen = [entries(page) for page in (first, second, third)]
    assert seen == [[f"{p}-n0", f"{p}-n1"], [f"{p}-n2", f"{p}-n3"], [f"{p}-n4"]]
    assert link(third, "next") is None
    assert entries(back) == seen[0]
    assert "_getpages=" in (link(first, "next") or "")
    assert "_getpagesoffset=2" in (link(first, "next") or "")


@case()
async def pages_show_a_stable_snapshot(c: Client, p: str) -> None:
    for i in range(4):
        await put(c, patient(p, f"n{i}"))
    first = (await get(c, f"Patient?_tag={TAG}|{p}&_count=2&_sort=_id")).json

    await put(c, patient(p, "n00"))
    second = (await get(c, link(first, "next") or "")).json

    assert entries(second) == [f"{p}-n2", f"{p}-n3"]


@case()
async def search_by_post_is_search_by_get(c: Client, p: str) -> None:
    await populate(c, p)
    form = f"patient={p}-ann&code=15074-8".encode()

    reply = await send(
        c, "POST", "Observation/_search", form, content_type="application/x-www-form-urlencoded"
    )

    assert reply.status == 200
    assert entries(reply.json) == [f"{p}-glu"]


@case()
async def search_of_all_types_by_post_is_refused(c: Client, _p: str) -> None:
    reply = await send(
        c, "POST", "_search", b"_id=1", content_type="application/x-www-form-urlencoded"
    )

    assert reply.status in {400, 404, 405}


@case()
async def an_unknown_parameter_is_400(c: Client, p: str) -> None:
    for path in (
        f"Patient?unicorn={p}",
        f"Patient?unicorn:exact={p}",
        f"Observation?subject:Patient.unicorn={p}",
        f"Patient?_has:Observation:patient:unicorn={p}",
        "Patient?_sort=unicorn",
    ):
        reply = await get(c, path)
        assert reply.status == 400, path
        assert is_outcome(reply)


@case()
async def a_malformed_value_is_400(c: Client, _p: str) -> None:
    for path in ("Patient?birthdate=yesterday", "Observation?value-quantity=much"):
        reply = await get(c, path)
        assert reply.status == 400, path
        assert is_outcome(reply)


@case()
async def summary_count_gives_only_the_total(c: Client, p: str) -> None:
    await populate(c, p)

    for query in ("_summary=count", "_count=0"):
        bundle = (await get(c, f"Patient?_tag={TAG}|{p}&{query}")).json
        assert bundle["total"] == 3
        assert "entry" not in bundle


@case()
async def elements_gives_a_marked_subset(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Patient?_id={p}-ann&_elements=gender")).json

    resource = bundle["entry"][0]["resource"]
    assert resource["gender"] == "female"
    assert not {"name", "birthDate"} & set(resource)
    assert "SUBSETTED" in [tag["code"] for tag in resource["meta"]["tag"]]


@case()
async def summary_true_keeps_summary_elements(c: Client, p: str) -> None:
    contact = [{"relationship": [{"text": "neighbour"}]}]
    await put(c, patient(p, gender="female", contact=contact))

    bundle = (await get(c, f"Patient?_id={p}-pat&_summary=true")).json

    resource = bundle["entry"][0]["resource"]
    assert resource["gender"] == "female"
    assert "contact" not in resource
    assert "SUBSETTED" in [tag["code"] for tag in resource["meta"]["tag"]]


@case()
async def summary_text_and_data_part_the_narrative(c: Client, p: str) -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
    await put(c, patient(p, gender="female", text=text))

    narrative = (await get(c, f"Patient?_id={p}-pat&_summary=text")).json["entry"][0]["resource"]
    structured = (await get(c, f"Patient?_id={p}-pat&_summary=data")).json["entry"][0]["resource"]

    assert "text" in narrative
    assert "gender" not in narrative
    assert "text" not in structured
    assert structured["gender"] == "female"


@case()
async def a_deleted_resource_is_no_longer_found(c: Client, p: str) -> None:
    await put(c, patient(p, "a"))
    await put(c, patient(p, "b"))
    await c.ask("DELETE", f"Patient/{p}-a")

    bundle = (await get(c, f"Patient?_tag={TAG}|{p}")).json

    assert entries(bundle) == [f"{p}-b"]


@case()
async def an_updated_resource_is_found_by_its_new_values(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    await put(c, patient(p, gender="male"))

    old = (await get(c, f"Patient?_tag={TAG}|{p}&gender=female")).json
    new = (await get(c, f"Patient?_tag={TAG}|{p}&gender=male")).json

    assert (entries(old), entries(new)) == ([], [f"{p}-pat"])


@case(hapi=False)
async def a_compartment_search_gives_the_members_of_a_type(c: Client, p: str) -> None:
    await populate(c, p)

    everything = (await get(c, f"Patient/{p}-ann/Observation")).json
    some = (await get(c, f"Patient/{p}-ann/Observation?code=85354-9")).json

    assert sorted(entries(everything)) == [f"{p}-bp", f"{p}-glu"]
    assert entries(some) == [f"{p}-bp"]


@case(hapi=False)
async def a_logical_reference_is_found_by_its_identifier(c: Client, p: str) -> None:
    subject = {"identifier": {"system": f"urn:c:{p}", "value": "7"}}
    await put(c, observation(p, "obs", "nobody", subject=subject))

    bundle = (await get(c, f"Observation?subject:identifier=urn:c:{p}|7")).json

    assert entries(bundle) == [f"{p}-obs"]


@case()
async def everything_gives_the_record_of_a_patient(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Patient/{p}-ann/$everything?_count=100")).json

    ids = set(entries(bundle)) | set(entries(bundle, "include"))
    assert {f"{p}-{name}" for name in ("ann", "con", "enc", "glu", "bp", "org", "doc")} <= ids
    assert not {f"{p}-bob", f"{p}-txt", f"{p}-risk"} & ids


# Batch and transaction


def _bundle(kind: str, *requests: tuple[str, str, Json | None, str]) -> Json:
    entry: list[Json] = []
    for method, url, resource, full_url in requests:
        one: Json = {"request": {"method": method, "url": url}}
        entry.append(
            one
            | ({"resource": resource} if resource else {})
            | ({"fullUrl": full_url} if full_url else {})
        )
    return {"resourceType": "Bundle", "type": kind, "entry": entry}


URN = "urn:uuid:5a0b4f5e-7d26-4a56-9a0f-3f8c7c0a0001"


@case()
async def a_transaction_resolves_its_own_references(c: Client, p: str) -> None:
    about = observation(p, "x", "x", subject={"reference": URN})
    body = _bundle(
        "transaction",
        ("POST", "Observation", about, ""),
        ("POST", "Patient", patient(p, "x", gender="female"), URN),
        ("GET", f"Patient?_id={p}-nobody", None, ""),
    )

    reply = await send(c, "POST", "", body)

    assert (reply.status, reply.json["type"]) == (200, "transaction-response")
    assert list(statuses(reply.json)) == ["201", "201", "200"]
    made, who = (e["response"]["location"].split("/_history")[0] for e in reply.json["entry"][:2])
    ident = made.rpartition("/")[2]
    subject = (await get(c, f"Observation/{ident}")).json["subject"]["reference"]
    assert subject == "Patient/" + who.rpartition("/")[2]


@case()
async def a_transaction_resolves_conditional_references(c: Client, p: str) -> None:
    await populate(c, p)
    search = f"Patient?identifier=urn:conformance:{p}|{p}-bob"
    body = _bundle(
        "transaction",
        (
            "PUT",
            f"Observation/{p}-new",
            observation(p, "new", "x", subject={"reference": search}),
            "",
        ),
    )

    reply = await send(c, "POST", "", body)

    assert list(statuses(reply.json)) == ["201"]
    subject = (await get(c, f"Observation/{p}-new")).json["subject"]["reference"]
    assert subject == f"Patient/{p}-bob"


@case()
async def a_failing_transaction_changes_nothing(c: Client, p: str) -> None:
    await put(c, patient(p, "a", gender="female"))
    body = _bundle(
        "transaction",
        ("PUT", f"Patient/{p}-a", patient(p, "a", gender="male"), ""),
        ("PUT", f"Patient/{p}-b", patient(p, "b"), ""),
        ("PUT", f"Patient/{p}-c", patient(p, "another-id"), ""),
    )

    reply = await send(c, "POST", "", body)

    assert 400 <= reply.status < 500
    assert is_outcome(reply)
    assert (await get(c, f"Patient/{p}-a")).json["gender"] == "female"
    assert (await get(c, f"Patient/{p}-b")).status == 404
    bundle = (await get(c, f"Patient?_tag={TAG}|{p}")).json
    assert entries(bundle) == [f"{p}-a"]


@case()
async def a_transaction_may_delete_and_conditionally_create(c: Client, p: str) -> None:
    await populate(c, p)
    body = _bundle(
        "transaction",
        ("DELETE", f"Observation/{p}-txt", None, ""),
        ("POST", "Patient", patient(p, "x"), ""),
    )
    body["entry"][1]["request"]["ifNoneExist"] = f"identifier=urn:conformance:{p}|{p}-ann"

    reply = await send(c, "POST", "", body)

    assert reply.status == 200
    assert statuses(reply.json)[0] in {"200", "204"}
    assert statuses(reply.json)[1] == "200"
    assert f"Patient/{p}-ann/" in reply.json["entry"][1]["response"]["location"]
    assert (await get(c, f"Observation/{p}-txt")).status == 410


@case()
async def a_batch_answers_each_entry_for_itself(c: Client, p: str) -> None:
    await put(c, patient(p, "a"))
    body = _bundle(
        "batch",
        ("GET", f"Patient/{p}-a", None, ""),
        ("GET", f"Patient/{p}-nobody", None, ""),
        ("PUT", f"Patient/{p}-b", patient(p, "b"), ""),
        ("GET", f"Patient?_id={p}-a", None, ""),
    )

    reply = await send(c, "POST", "", body)

    assert (reply.status, reply.json["type"]) == (200, "batch-response")
    assert list(statuses(reply.json)) == ["200", "404", "201", "200"]
    assert reply.json["entry"][0]["resource"]["id"] == f"{p}-a"
    assert entries(reply.json["entry"][3]["resource"]) == [f"{p}-a"]
    assert (await get(c, f"Patient/{p}-b")).status == 200


@case()
async def a_bundle_of_another_type_is_refused_at_the_base(c: Client, p: str) -> None:
    reply = await send(c, "POST", "", _bundle("searchset"))

    assert 400 <= reply.status < 500
    assert is_outcome(reply)


# Capabilities


@case()
async def metadata_is_a_capability_statement(c: Client, _p: str) -> None:
    statement = (await get(c, "metadata")).json

    assert statement["resourceType"] == "CapabilityStatement"
    assert statement["fhirVersion"] in {"4.0.1", "5.0.0"}
    resources = {r["type"]: r for r in statement["rest"][0]["resource"]}
    codes = {i["code"] for i in resources["Patient"]["interaction"]}
    assert {"read", "vread", "create", "update", "delete", "search-type"} <= codes
    names = {param["name"] for param in resources["Observation"]["searchParam"]}
    assert {"patient", "code", "date", "_id", "_lastUpdated"} <= names
