"""Conformance cases of create, update, patch and delete."""

from tests.sandbox.conformance import (
    TAG,
    Client,
    Json,
    case,
    entries,
    get,
    is_outcome,
    observation,
    patient,
    put,
    send,
    tagged,
)


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


@case()
async def a_conditional_delete_of_many_is_412(c: Client, p: str) -> None:
    for name in ("a", "b"):
        await put(c, patient(p, name))

    refused = await c.ask("DELETE", f"Patient?_tag={TAG}|{p}")

    assert refused.status == 412
    assert (await get(c, f"Patient/{p}-a")).status == 200


@case()
async def prefer_operation_outcome_gives_one(c: Client, p: str) -> None:
    reply = await put(c, patient(p), prefer="return=OperationOutcome")

    assert reply.status == 201
    assert is_outcome(reply)


@case()
async def if_match_on_nothing_creates(c: Client, p: str) -> None:
    assert (await put(c, patient(p), if_match='W/"3"')).status == 201


@case()
async def an_illegal_id_is_400(c: Client, p: str) -> None:
    body = {"resourceType": "Patient", "id": f"{p}_x"}

    reply = await send(c, "PUT", f"Patient/{p}_x", body)

    assert reply.status == 400
    assert is_outcome(reply)


@case()
async def if_match_guards_a_patch(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    document = [{"op": "replace", "path": "/gender", "value": "male"}]
    kind = "application/json-patch+json"

    stale = await send(
        c, "PATCH", f"Patient/{p}-pat", document, content_type=kind, if_match='W/"7"'
    )
    right = await send(
        c, "PATCH", f"Patient/{p}-pat", document, content_type=kind, if_match='W/"1"'
    )

    assert stale.status in {409, 412}
    assert right.status == 200


@case()
async def a_failing_patch_changes_nothing(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    document = [
        {"op": "replace", "path": "/gender", "value": "male"},
        {"op": "test", "path": "/gender", "value": "other"},
    ]

    reply = await send(
        c, "PATCH", f"Patient/{p}-pat", document, content_type="application/json-patch+json"
    )

    assert 400 <= reply.status < 500
    assert (await get(c, f"Patient/{p}-pat")).json["gender"] == "female"


# Referential integrity


@case(strict=True)
async def a_dangling_reference_is_400(c: Client, p: str) -> None:
    reply = await put(c, observation(p, "obs", "nobody"))

    assert reply.status == 400
    assert is_outcome(reply)
    assert (await get(c, f"Observation/{p}-obs")).status == 404


@case(strict=True)
async def deleting_what_others_refer_to_is_409(c: Client, p: str) -> None:
    await put(c, patient(p, "ann"))
    await put(c, observation(p, "obs", "ann"))

    refused = await c.ask("DELETE", f"Patient/{p}-ann")
    await c.ask("DELETE", f"Observation/{p}-obs")
    granted = await c.ask("DELETE", f"Patient/{p}-ann")

    assert refused.status == 409
    assert is_outcome(refused)
    assert granted.status in {200, 204}
