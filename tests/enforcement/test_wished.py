"""What narrows an export: patients, searches for types, elements, instants; told by what the caller sees."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import orjson
from aiohttp import web

from proxy.fhir.coding import CONFIDENTIALITY, INLINE_LABEL
from proxy.sandbox.export import Exports
from proxy.sandbox.model import Answer, Ask
from tests.attacks.records import ACT_CODE
from tests.bulk import (
    ASYNC,
    CONCEALED,
    HIDDEN,
    POLICY,
    RECORDS,
    REFUSES,
    REGISTRY,
    SHARES,
    consent,
    exported,
    files_of,
    lines,
    manifest_of,
    observation,
    registry,
)
from tests.stage import Stage

WORLD = (*RECORDS, *CONCEALED)


def of_patients(*ids: str, **more: str) -> bytes:
    """A posted kick-off for some patients."""
    named = [{"name": "patient", "valueReference": {"reference": f"Patient/{one}"}} for one in ids]
    others = [{"name": name, "valueString": value} for name, value in more.items()]
    return orjson.dumps({"resourceType": "Parameters", "parameter": [*named, *others]})


async def files_for(stage: Stage, body: bytes) -> dict[str, list[str]]:
    """The ids in each file of an export of patients."""
    headers = {**ASYNC, "Content-Type": "application/fhir+json"}
    reply = await stage.ask("/Patient/$export", REGISTRY, "POST", headers, body)
    assert reply.status == 202, reply.body
    manifest = await manifest_of(stage, reply.headers["content-location"])
    return {
        kind: [one["id"] for one in lines(await stage.ask(url, REGISTRY))]
        for kind, url in files_of(manifest).items()
    }


OTHER = (
    {"resourceType": "Patient", "id": "two", "gender": "male"},
    consent("two", "permit"),
    observation("o7", "two", status="amended", encounter={"reference": "Encounter/none"}),
)


async def test_an_export_may_name_patients_and_who_is_hidden_is_not_there(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD, *OTHER) as (stage, upstream):
        kinds = {"_type": "Patient,Observation"}
        found = await files_for(stage, of_patients(SHARES, REFUSES, "none", **kinds))
        assert found == {"Patient": [SHARES], "Observation": ["o1", "o2"]}
        [call] = [one for one in upstream.calls if "$export" in one.target and one.method == "POST"]
        assert call.target == "/fhir/Patient/$export"
        upstream.calls.clear()
        nobody = [await files_for(stage, of_patients(one, **kinds)) for one in (REFUSES, "none")]
        assert nobody == [{"Patient": [], "Observation": []}] * 2
        assert not any("$export" in one.target for one in upstream.calls)


async def test_who_is_hidden_cannot_be_told_from_who_is_not_there_by_any_step(
    tmp_path: Path,
) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        told = []
        for own in (REFUSES, "nobody"):
            upstream.calls.clear()
            headers = {**ASYNC, "Content-Type": "application/fhir+json"}
            body = of_patients(own.ljust(6, "x")[:6], _type="Patient")
            reply = await stage.ask("/Patient/$export", REGISTRY, "POST", headers, body)
            status = reply.headers["content-location"]
            manifest = await stage.ask(status, REGISTRY)
            gone = await stage.ask(status, REGISTRY, "DELETE")
            told.append((reply.status, len(status), manifest.status, len(manifest.body), gone.status, len(upstream.calls)))  # fmt: skip
        assert told[0] == told[1]


async def test_a_search_for_a_type_is_answered_from_what_is_shown(tmp_path: Path) -> None:
    strays = observation("o8", SHARES, status="amended", performer=[{"reference": "RelatedPerson/x"}])  # fmt: skip
    async with registry(tmp_path, *WORLD, *OTHER, strays) as (stage, upstream):
        for search, found in {
            "Observation?status=amended": ["o7", "o8"],
            "Observation?status=amended&subject=Patient/two": ["o7"],
            "Observation?_id=o1,o3": ["o1"],
            "Observation?performer=RelatedPerson/x": [],  # it is pruned
            "Observation?status=amended,Observation?_id=o2": ["o2", "o7", "o8"],
        }.items():
            target = f"/$export?_type=Observation,Patient&_typeFilter={quote(search)}"
            files = await exported(stage, target)
            assert [one["id"] for one in lines(files["Observation"])] == found, search
            assert len(lines(files["Patient"])) == 2
        upstream.world.exports = Ignoring(upstream.world.index)
        files = await exported(stage, "/$export?_type=Observation&_typeFilter=Observation%3F_id%3Do1")  # fmt: skip
        assert [one["id"] for one in lines(files["Observation"])] == ["o1"]


class Ignoring(Exports):
    """A server that exports all there is, whatever narrows it."""

    def answer(self, ask: Ask) -> Answer | None:
        kept = tuple(one for one in ask.query if one[0] not in {"_typeFilter", "_until"})
        body = ask.body.replace(b'"name":"patient"', b'"name":"_outputFormat"')
        return super().answer(replace(ask, query=kept, body=body))


async def test_who_is_not_named_is_left_out_though_upstream_gives_them(tmp_path: Path) -> None:
    refers = observation("o9", "two", performer=[{"reference": f"Patient/{SHARES}"}])
    async with registry(tmp_path, *WORLD, *OTHER, refers) as (stage, upstream):
        for _ in range(2):
            found = await files_for(stage, of_patients(SHARES, _type="Patient,Observation"))
            assert found == {"Patient": [SHARES], "Observation": ["o1", "o2", "o9"]}
            upstream.world.exports = Ignoring(upstream.world.index)


async def test_what_changed_later_is_left_out_though_upstream_gives_it(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        for ignoring in (False, True):
            if ignoring:
                upstream.world.exports = Ignoring(upstream.world.index)
            for until, found in (("2026-11-22T07:00:00Z", []), ("2026-11-22T08:30:00Z", ["o1", "o2"])):  # fmt: skip
                files = await exported(stage, f"/$export?_type=Observation&_until={until}")
                assert [one["id"] for one in lines(files["Observation"])] == found


async def test_elements_are_cut_here_from_what_may_leave(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        files = await exported(stage, "/$export?_type=Patient,Observation&_elements=Observation.subject,gender,telecom")  # fmt: skip
        [patient] = lines(files["Patient"])
        assert (patient["gender"], "name" in patient, "telecom" in patient) == ("female", False, False)  # fmt: skip
        first, _ = lines(files["Observation"])
        assert first.keys() == {"resourceType", "id", "meta", "status", "subject"} | ({"code"} & first.keys())  # fmt: skip
        assert first["meta"]["tag"][-1]["code"] == "SUBSETTED"
        assert not any("_elements" in one.target for one in upstream.calls)


async def test_where_upstream_does_not_narrow_an_export_it_is_not_served(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):

        async def picky(request: web.BaseRequest) -> web.StreamResponse | None:
            return web.Response(status=400) if "_typeFilter" in request.raw_path else None

        upstream.override = picky
        target = "/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dfinal"
        assert (await stage.ask(target, REGISTRY, headers=ASYNC)).status == 501


async def test_links_of_an_export_are_bounded(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        searches = "&".join(
            f"_typeFilter=Observation%3F_id%3D{'x' * 60},{'y' * 60},{'z' * 60},{'a' * 60}" for _ in range(20)
        )  # fmt: skip
        reply = await stage.ask(f"/$export?_type=Observation&{searches}", REGISTRY, headers=ASYNC)
        assert reply.status == 413


async def test_what_is_cut_in_part_does_not_depend_on_when_it_was_changed(tmp_path: Path) -> None:
    """The parts that are cut may be what was changed."""
    restricted = {"system": CONFIDENTIALITY, "code": "R"}
    cut = observation("cut", SHARES, meta={"security": [{"system": ACT_CODE, "code": "PROCESSINLINELABEL"}]})  # fmt: skip
    cut["valueString"] = HIDDEN
    cut["_valueString"] = {"extension": [{"url": INLINE_LABEL, "valueCoding": restricted}]}
    text = POLICY.replace(
        "rules:\n", "rules:\n  - {id: no-r, description: x, effect: deny, target: {interaction: [export], resource: {label: ['v3-Confidentiality#R']}}}\n", 1,
    )  # fmt: skip
    async with registry(tmp_path, *WORLD, cut, text=text) as (stage, _):
        for more, found in (("", ["o1", "o2", "cut"]), ("&_since=2026-01-01T00:00:00Z", ["o1", "o2"])):  # fmt: skip
            files = await exported(stage, f"/$export?_type=Observation{more}")
            assert [one["id"] for one in lines(files["Observation"])] == found
            assert HIDDEN not in files["Observation"].text


NO_R = "rules:\n  - {id: no-r, description: x, effect: deny, target: {interaction: [export], resource: {label: ['v3-Confidentiality#R']}}}\n"
REDACTED = "    redact: {remove: [Patient.telecom, Observation.performer]}"


async def test_nobody_is_found_in_an_export_by_a_reference_that_is_not_shown(
    tmp_path: Path,
) -> None:
    """A line that is about somebody else would tell by being there whom the part that is cut out names."""
    names = {"reference": f"Patient/{SHARES}"}
    restricted = {"url": INLINE_LABEL, "valueCoding": {"system": CONFIDENTIALITY, "code": "R"}}
    inline = {"security": [{"system": ACT_CODE, "code": "PROCESSINLINELABEL"}]}
    cut = observation("cut", "two", meta=inline, performer=[{**names, "extension": [restricted]}])
    plain = observation("plain", "two", performer=[names])
    worlds = (
        (POLICY.replace("rules:\n", NO_R, 1), cut),
        (POLICY.replace("    redact: {remove: [Patient.telecom]}", REDACTED), plain),
    )
    for number, (text, refers) in enumerate(worlds):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with registry(folder, *WORLD, *OTHER, refers, text=text) as (stage, _):
            files = await exported(stage, "/$export?_type=Observation")
            shown = {one["id"]: one for one in lines(files["Observation"])}
            assert SHARES not in orjson.dumps(shown[refers["id"]]).decode()
            found = await files_for(stage, of_patients(SHARES, _type="Observation"))
            assert found == {"Observation": ["o1", "o2"]}


async def test_who_is_hidden_by_now_is_found_by_nothing_that_is_pruned(tmp_path: Path) -> None:
    refers = observation("o9", "two", performer=[{"reference": f"Patient/{REFUSES}"}])
    async with registry(tmp_path, *WORLD, *OTHER, refers) as (stage, upstream):
        upstream.world.exports = Ignoring(upstream.world.index)
        found = await files_for(stage, of_patients(SHARES, REFUSES, _type="Observation"))
        assert found == {"Observation": ["o1", "o2"]}


async def test_a_group_brings_nothing_of_others_that_names_a_hidden_member(tmp_path: Path) -> None:
    """Upstream gives what refers to a member; who was given what is about somebody else would know of a member."""
    refers = observation("o9", "two", performer=[{"reference": f"Patient/{REFUSES}"}])
    names = observation("o10", "two", performer=[{"reference": f"Patient/{SHARES}"}])
    async with registry(tmp_path, *WORLD, *OTHER, refers, names) as (stage, _):
        files = await exported(stage, "/Group/g/$export?_type=Observation,Patient")
        found = {kind: [one["id"] for one in lines(reply)] for kind, reply in files.items()}
        assert found == {"Patient": [SHARES], "Observation": ["o1", "o10", "o2"]}


class Generous(Exports):
    """A server that takes everybody for a member of every Group."""

    def answer(self, ask: Ask) -> Answer | None:
        begins = ask.path[-1:] == ("$export",)
        return super().answer(replace(ask, path=("$export",)) if begins else ask)


async def test_a_group_that_lists_no_patient_brings_nothing(tmp_path: Path) -> None:
    """Who is in it, upstream alone knows; so nobody can tell whose lines are its."""
    bare = {"resourceType": "Group", "id": "bare", "type": "person", "actual": False}
    async with registry(tmp_path, *WORLD, *OTHER, bare) as (stage, upstream):
        upstream.world.exports = Generous(upstream.world.index)
        files = await exported(stage, "/Group/bare/$export?_type=Observation,Patient")
        assert {kind: lines(reply) for kind, reply in files.items()} == {"Patient": [], "Observation": []}  # fmt: skip
