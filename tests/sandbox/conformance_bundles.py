"""Conformance cases of batch and transaction."""

import base64

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
    populate,
    put,
    send,
    statuses,
)


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
    nobody = {"reference": f"Patient?identifier=urn:c:{p}|nobody"}
    body = _bundle(
        "transaction",
        ("PUT", f"Patient/{p}-a", patient(p, "a", gender="male"), ""),
        ("PUT", f"Patient/{p}-b", patient(p, "b"), ""),
        ("PUT", f"Observation/{p}-c", observation(p, "c", "x", subject=nobody), ""),
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


@case()
async def a_transaction_with_one_resource_twice_is_refused(c: Client, p: str) -> None:
    body = _bundle(
        "transaction",
        ("PUT", f"Patient/{p}-a", patient(p, "a", gender="male"), ""),
        ("PUT", f"Patient/{p}-a", patient(p, "a", gender="female"), ""),
    )

    reply = await send(c, "POST", "", body)

    assert 400 <= reply.status < 500
    assert (await get(c, f"Patient/{p}-a")).status == 404


@case()
async def a_transaction_may_patch(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))
    document = b'[{"op":"replace","path":"/gender","value":"male"}]'
    binary: Json = {
        "resourceType": "Binary",
        "contentType": "application/json-patch+json",
        "data": base64.b64encode(document).decode(),
    }

    reply = await send(
        c, "POST", "", _bundle("transaction", ("PATCH", f"Patient/{p}-pat", binary, ""))
    )

    assert list(statuses(reply.json)) == ["200"]
    assert (await get(c, f"Patient/{p}-pat")).json["gender"] == "male"


@case()
async def a_transaction_may_update_conditionally(c: Client, p: str) -> None:
    condition = f"Patient?identifier=urn:c:{p}|1"
    body: Json = {"resourceType": "Patient", "identifier": [{"system": f"urn:c:{p}", "value": "1"}]}
    about = observation(p, "x", "x", subject={"reference": URN})
    both = _bundle("transaction", ("PUT", condition, body, URN), ("POST", "Observation", about, ""))

    first = (await send(c, "POST", "", both)).json
    second = (await send(c, "POST", "", both)).json

    assert list(statuses(first)) == ["201", "201"]
    assert list(statuses(second)) == ["200", "201"]
    who = second["entry"][0]["response"]["location"].split("/_history")[0]
    made = second["entry"][1]["response"]["location"].split("/_history")[0].rpartition("/")[2]
    subject = (await get(c, f"Observation/{made}")).json["subject"]["reference"]
    assert subject == "Patient/" + who.rpartition("/")[2]


@case()
async def entries_of_a_transaction_may_refer_to_each_other_in_a_circle(c: Client, p: str) -> None:
    other = URN[:-1] + "2"
    first = patient(p, "x", link=[{"other": {"reference": other}, "type": "seealso"}])
    second = patient(p, "y", link=[{"other": {"reference": URN}, "type": "seealso"}])

    reply = await send(
        c,
        "POST",
        "",
        _bundle("transaction", ("POST", "Patient", first, URN), ("POST", "Patient", second, other)),
    )

    ids = [
        e["response"]["location"].split("/_history")[0].rpartition("/")[2]
        for e in reply.json["entry"]
    ]
    for here, there in (ids, ids[::-1]):
        found = (await get(c, f"Patient/{here}")).json
        assert found["link"][0]["other"]["reference"] == f"Patient/{there}"


@case()
async def a_write_in_a_bundle_may_be_echoed(c: Client, p: str) -> None:
    body = _bundle("transaction", ("PUT", f"Patient/{p}-a", patient(p, "a"), ""))

    reply = await send(c, "POST", "", body, prefer="return=representation")

    assert reply.json["entry"][0]["resource"]["id"] == f"{p}-a"


@case(strict=True)
async def a_transaction_may_delete_a_resource_with_what_refers_to_it(c: Client, p: str) -> None:
    await put(c, patient(p, "ann"))
    await put(c, observation(p, "obs", "ann"))
    one = ("DELETE", f"Patient/{p}-ann", None, "")
    other = ("DELETE", f"Observation/{p}-obs", None, "")

    refused = await send(c, "POST", "", _bundle("transaction", one))
    granted = await send(c, "POST", "", _bundle("transaction", one, other))

    assert (refused.status, granted.status) == (409, 200)
    assert (await get(c, f"Patient/{p}-ann")).status == 410
