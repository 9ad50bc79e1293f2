"""Conformance cases of search: bundles, paging, result parameters and refusals."""

from tests.sandbox.conformance import (
    TAG,
    Client,
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
)


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
async def the_compartment_of_an_encounter_holds_what_was_done_in_it(c: Client, p: str) -> None:
    await put(c, {"resourceType": "Encounter", "id": f"{p}-enc", "status": "finished", "class": {}})
    inside = {"encounter": {"reference": f"Encounter/{p}-enc"}}
    await put(c, patient(p, "a"))
    await put(c, observation(p, "in", "a", **inside))
    await put(c, observation(p, "out", "a"))

    found = (await get(c, f"Encounter/{p}-enc/Observation")).json
    itself = (await get(c, f"Encounter/{p}-enc/Encounter")).json

    assert (entries(found), entries(itself)) == ([f"{p}-in"], [f"{p}-enc"])


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


@case()
async def everything_of_nobody_is_404(c: Client, p: str) -> None:
    assert (await get(c, f"Patient/{p}-nobody/$everything")).status == 404


@case()
async def everything_may_be_limited_to_types(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Patient/{p}-ann/$everything?_type=Observation,Patient")).json

    kinds = {e["resource"]["resourceType"] for e in bundle["entry"]}
    assert {"Observation", "Patient"} <= kinds
    assert "Condition" not in kinds


@case()
async def a_malformed_result_parameter_is_400(c: Client, _p: str) -> None:
    for path in (
        "Patient?_count=many",
        "Patient?_include=Patient:unicorn",
        "Patient?_revinclude=Unicorn:subject",
        "Observation?subject:Unicorn=x",
        "Patient?_has:Observation:patient=z",
        "Patient?_has:Unicorn:patient:code=z",
    ):
        reply = await get(c, path)
        assert reply.status == 400, path
        assert is_outcome(reply)


@case(hapi=False)
async def an_unknown_modifier_is_400(c: Client, _p: str) -> None:
    for path in ("Patient?name:unicorn=x", "Patient?gender:exact=male", "Patient?_summary=unicorn"):
        reply = await get(c, path)
        assert reply.status == 400, path
        assert is_outcome(reply)


@case()
async def elements_do_not_touch_included_resources(c: Client, p: str) -> None:
    await populate(c, p)

    query = f"Observation?_id={p}-glu&_include=Observation:subject&_elements=status"
    bundle = (await get(c, query)).json

    whole = {e["resource"]["resourceType"]: e["resource"] for e in bundle["entry"]}
    assert "code" not in whole["Observation"]
    assert whole["Patient"]["birthDate"] == "1980-05-17"


@case()
async def a_page_of_nothing_known_is_410(c: Client, p: str) -> None:
    assert (await get(c, f"?_getpages={p}")).status == 410


@case()
async def the_base_alone_is_400(c: Client, _p: str) -> None:
    for path in ("", "Patient/x/$unicorn", "$unicorn", "Patient/x/y/z"):
        reply = await get(c, path)
        assert reply.status == 400, path
        assert is_outcome(reply)


@case()
async def a_wildcard_include_follows_every_reference(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Observation?_id={p}-glu&_include=*")).json

    assert sorted(entries(bundle, "include")) == [f"{p}-ann", f"{p}-doc", f"{p}-enc"]


@case()
async def total_accurate_counts_all_pages(c: Client, p: str) -> None:
    await populate(c, p)

    bundle = (await get(c, f"Patient?_tag={TAG}|{p}&_count=1&_total=accurate")).json

    assert (bundle["total"], len(bundle["entry"])) == (3, 1)
