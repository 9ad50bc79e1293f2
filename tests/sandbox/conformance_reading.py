"""Conformance cases of read, vread, history and capabilities."""

import re

from tests.sandbox.conformance import (
    Client,
    case,
    get,
    is_outcome,
    link,
    patient,
    put,
    send,
)

NUMBERS = (
    b'{"resourceType":"Observation","id":"%b","status":"final","code":{"text":"\\u00e9 / \xc3\xa9"},'
    b'"component":[{"code":{"text":"a"},"valueQuantity":{"value":0.010}},'
    b'{"code":{"text":"b"},"valueQuantity":{"value":1.50}}]}'
)


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


@case()
async def a_read_may_ask_for_a_subset(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female", birthDate="1990-01-01"))

    some = (await get(c, f"Patient/{p}-pat?_elements=gender")).json
    summary = await get(c, f"Patient/{p}-pat?_summary=true")

    assert some["gender"] == "female"
    assert "birthDate" not in some
    assert "SUBSETTED" in [tag["code"] for tag in summary.json["meta"]["tag"]]


@case()
async def format_and_pretty_change_nothing_in_content(c: Client, p: str) -> None:
    await put(c, patient(p, gender="female"))

    for query in ("_format=json", "_format=application/fhir%2Bjson", "_pretty=true"):
        reply = await get(c, f"Patient/{p}-pat?{query}")
        assert (reply.status, reply.json["gender"]) == (200, "female")


@case()
async def a_version_that_is_no_number_is_not_found(c: Client, p: str) -> None:
    await put(c, patient(p))

    assert (await get(c, f"Patient/{p}-pat/_history/latest")).status in {400, 404}


@case()
async def the_history_of_an_unknown_id_is_404(c: Client, p: str) -> None:
    assert (await get(c, f"Patient/{p}-nobody/_history")).status == 404


@case()
async def a_history_is_paged(c: Client, p: str) -> None:
    for gender in ("male", "female", "other"):
        await put(c, patient(p, gender=gender))

    first = (await get(c, f"Patient/{p}-pat/_history?_count=2")).json
    second = (await get(c, link(first, "next") or "")).json

    seen = [e["resource"]["meta"]["versionId"] for e in first["entry"] + second["entry"]]
    assert seen == ["3", "2", "1"]


@case()
async def a_history_may_start_at_an_instant(c: Client, p: str) -> None:
    await put(c, patient(p, gender="male"))
    await put(c, patient(p, gender="female"))

    later = (await get(c, f"Patient/{p}-pat/_history?_since=2100-01-01T00:00:00Z")).json
    all_ = (await get(c, f"Patient/{p}-pat/_history?_since=2000-01-01T00:00:00Z")).json

    assert "entry" not in later
    assert len(all_["entry"]) == 2


@case()
async def the_history_of_the_system_is_a_history_bundle(c: Client, p: str) -> None:
    await put(c, patient(p))

    assert (await get(c, "_history?_count=3")).json["type"] == "history"
