"""Bulk export, end to end: who may, what is told on the way, and what the files hold."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from fhir.resources.R4B.auditevent import AuditEvent

from proxy.audit.agent import Observer
from proxy.audit.event import events_of
from tests.bulk import (
    ASYNC,
    CONCEALED,
    HIDDEN,
    POLICY,
    RECORDS,
    REFUSES,
    REGISTRY,
    SHARES,
    begun,
    consent,
    exported,
    files_of,
    lines,
    manifest_of,
    observation,
    policies,
    registry,
)  # fmt: skip
from tests.stage import PUBLIC, Upstream, bundle, names, serving, staged, world_of

WORLD = (*RECORDS, *CONCEALED)


async def test_an_export_holds_what_is_permitted_and_nothing_else(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        files = await exported(stage, "/$export?_type=Patient,Observation,Condition")
        assert list(files) == ["Patient", "Observation", "Condition"]
        assert all(one.status == 200 for one in files.values())
        assert {one.headers["content-type"] for one in files.values()} == {
            "application/fhir+ndjson"
        }
        [patient] = lines(files["Patient"])
        assert (patient["id"], "telecom" in patient, "name" in patient) == (SHARES, False, False)
        assert [one["id"] for one in lines(files["Observation"])] == ["o1", "o2"]
        assert files["Condition"].body == b""
        assert not any(HIDDEN in one.text for one in files.values())


async def test_a_permitted_line_leaves_byte_for_byte(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        files = await exported(stage, "/$export?_type=Observation")
        stored = upstream.world.store.read("Observation", "o1").body or b""
        assert b'"value":1.5' in stored
        assert files["Observation"].body.splitlines()[0] == stored


async def test_every_step_and_every_line_is_recorded(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        await exported(stage, "/$export?_type=Observation")
        entries = stage.entries()
        assert {one.interaction for one in entries} == {"export"}
        assert {one.actor.client_id for one in entries} == {"registry"}
        assert [one.status for one in entries] == [202, 200, 200, 200]
        assert names(entries, "disclosed") == ["Observation/o1", "Observation/o2"]
        assert names(entries, "withheld") == ["Observation/o3"]


async def test_nothing_on_the_way_tells_what_is_hidden(tmp_path: Path) -> None:
    answers = []
    for number, world in enumerate(((*RECORDS[:-1], *CONCEALED), RECORDS[:-1])):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with registry(folder, *world) as (stage, _):
            manifest = await manifest_of(stage, await begun(stage))
            files = {
                kind: await stage.ask(url, REGISTRY) for kind, url in files_of(manifest).items()
            }
            plain = json.dumps(manifest).replace(
                files_of(manifest)["Patient"].partition("_type")[0], ""
            )
            told = {k: (r.status, r.body, r.headers.get("content-type")) for k, r in files.items()}
            answers.append(
                (manifest.keys(), list(files), len(plain), manifest["transactionTime"], told)
            )
    assert answers[0] == answers[1]


async def test_the_manifest_names_our_files_alone(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        manifest = await manifest_of(
            stage, await begun(stage, "/Patient/$export?_type=Observation")
        )
        assert upstream.url not in json.dumps(manifest)
        assert manifest.keys() == {
            "transactionTime",
            "request",
            "requiresAccessToken",
            "output",
            "error",
        }
        assert manifest["requiresAccessToken"] is True
        assert manifest["request"] == f"{PUBLIC}/Patient/$export?_type=Observation"
        assert all(one.keys() == {"type", "url"} for one in manifest["output"])
        assert all(one["url"].startswith(f"{PUBLIC}/$export-file?") for one in manifest["output"])


BACKEND = {**REGISTRY, "sub": "another", "client_id": "another"}
REFUSED: list[tuple[str, str, Any, int]] = [
    ("no rule for this client", "/$export", BACKEND, 403),
    ("no rule for this type", "/$export?_type=Observation,Encounter", REGISTRY, 403),
    ("a user's scope", "/$export", {**REGISTRY, "scope": "user/*.rs"}, 403),
    ("reading alone", "/$export", {**REGISTRY, "scope": "system/*.r"}, 403),
    ("another type's scope", "/$export?_type=Observation", {**REGISTRY, "scope": "system/Patient.rs"}, 403),
    ("a person", "/$export", "care-team-physician", 403),
    ("nobody", "/$export", None, 401),
    ("an unknown type", "/$export?_type=Unicorn", REGISTRY, 400),
    ("an empty type", "/$export?_type=", REGISTRY, 400),
    ("a filter by what is redacted", "/$export?_typeFilter=Patient%3Ftelecom%3D1", REGISTRY, 400),
    ("a filter by a name", "/$export?_typeFilter=Patient%3Fname%3Dx", REGISTRY, 400),
    ("a filter of another type", "/$export?_type=Patient&_typeFilter=Observation%3Fstatus%3Dfinal", REGISTRY, 400),
    ("a filter of a type that is not exported", "/$export?_typeFilter=Encounter%3Fstatus%3Dfinal", REGISTRY, 400),
    ("changes of what is redacted", "/$export?_since=2026-01-01T00:00:00Z", REGISTRY, 400),
    ("changes of what is redacted, until", "/$export?_type=Patient&_until=2026-01-01T00:00:00Z", REGISTRY, 400),
    ("elements inside elements", "/$export?_elements=name.family", REGISTRY, 400),
    ("patients by GET", "/Patient/$export?patient=Patient/share", REGISTRY, 400),
    ("associated data", "/$export?includeAssociatedData=LatestProvenanceResources", REGISTRY, 400),
    ("history", "/$export?_includeHistory=true", REGISTRY, 400),
    ("no instant", "/$export?_since=2026", REGISTRY, 400),
    ("twice", "/$export?_type=Patient&_type=Observation", REGISTRY, 400),
    ("another format", "/$export?_outputFormat=application%2Ffhir%2Bjson", REGISTRY, 406),
    ("parquet", "/$export?_outputFormat=application%2Fvnd.apache.parquet", REGISTRY, 406),
    ("no such group", "/Group/none/$export?_type=Patient", REGISTRY, 404),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "who", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_an_export_that_is_not_permitted_is_refused_before_upstream_hears_of_it(
    tmp_path: Path, target: str, who: Any, status: int
) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        reply = await stage.ask(target, who, headers=ASYNC)
        assert (reply.status, "content-location" in reply.headers) == (status, False)
        assert not any("$export" in call.target for call in upstream.calls)
        assert [one.status for one in stage.entries()] == [status]


async def test_without_a_rule_that_names_it_nobody_exports(tmp_path: Path) -> None:
    text = "policy: registry\nversion: '1'\nsource: x\nrules:\n  - {id: reads, description: all, effect: permit, target: {principal: {client: [registry]}}}\n"
    async with registry(tmp_path, *WORLD, text=text) as (stage, upstream):
        assert (await stage.ask("Observation/o1", REGISTRY)).status == 200
        upstream.calls.clear()
        assert (await stage.ask("/$export", REGISTRY, headers=ASYNC)).status == 403
        assert upstream.calls == []


async def test_a_kick_off_says_that_it_is_asynchronous(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        assert (await stage.ask("/$export", REGISTRY)).status == 400
        assert (
            await stage.ask("/$export", REGISTRY, method="POST", headers=ASYNC, body=b"{}")
        ).status == 415
        assert upstream.calls == []


async def test_parameters_may_be_posted(tmp_path: Path) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueString": "Observation"},
            {"name": "_since", "valueInstant": "2026-01-01T00:00:00Z"},
            {"name": "_outputFormat", "valueString": "ndjson"},
        ],
    }
    headers = {**ASYNC, "Content-Type": "application/fhir+json"}
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        reply = await stage.ask("/Patient/$export", REGISTRY, "POST", headers, orjson.dumps(body))
        assert reply.status == 202
        [call] = [one for one in upstream.calls if "$export" in one.target]
        assert call.target == "/fhir/Patient/$export?_type=Observation&_since=2026-01-01T00:00:00Z"
        body["parameter"] = [{"name": "patient", "valueReference": {"reference": "Patient/share"}}]
        for level in ("/$export", "/Group/g/$export"):
            reply = await stage.ask(level, REGISTRY, "POST", headers, orjson.dumps(body))
            assert reply.status == 400


async def test_upstream_is_asked_for_no_more_than_may_leave_and_with_our_own_words(
    tmp_path: Path,
) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        await begun(stage)
        [call] = [one for one in upstream.calls if "$export" in one.target]
        assert call.target == "/fhir/$export?_type=Condition,Group,Observation,Patient"
        assert (call.headers["prefer"], call.headers["accept"]) == (
            "respond-async",
            "application/fhir+json",
        )
        assert "authorization" not in call.headers


async def test_a_group_is_exported_without_telling_who_of_it_is_hidden(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        files = await exported(stage, "/Group/g/$export?_type=Patient,Observation,Group")
        assert [one["id"] for one in lines(files["Patient"])] == [SHARES]
        assert [one["id"] for one in lines(files["Observation"])] == ["o1", "o2"]
        assert files["Group"].body == b""  # it names the hidden member


async def test_a_group_that_policy_does_not_open_does_not_exist(tmp_path: Path) -> None:
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}
    group = {**RECORDS[-1], "meta": {"security": [label]}}
    async with registry(tmp_path, *RECORDS[:-1], group) as (stage, upstream):
        hidden = await stage.ask("/Group/g/$export?_type=Patient", REGISTRY, headers=ASYNC)
        absent = await stage.ask("/Group/h/$export?_type=Patient", REGISTRY, headers=ASYNC)
        assert (hidden.status, hidden.body) == (absent.status, absent.body) == (404, absent.body)
        assert not any("$export" in call.target for call in upstream.calls)


FOREIGN: list[Any] = [
    {**REGISTRY, "sub": "another"},
    {**REGISTRY, "client_id": "another"},
    {**REGISTRY, "extensions": {}},
    "care-team-physician",
]


async def test_a_job_does_not_exist_for_anybody_but_its_owner(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        status = await begun(stage, "/$export?_type=Observation")
        [file] = files_of(await manifest_of(stage, status)).values()
        unknown = await stage.ask("/$export-status?_job=none", REGISTRY)
        upstream.calls.clear()
        for who in FOREIGN:
            for method, url in (("GET", status), ("DELETE", status), ("GET", file)):
                reply = await stage.ask(url, who, method)
                assert (reply.status, reply.body) == (404, unknown.body)
        assert not any("$export" in one.target for one in upstream.calls)
        assert (await stage.ask(status, None)).status == 401
        renewed = {**REGISTRY, "jti": "registry-2"}
        assert (await stage.ask(file, renewed)).status == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t + "A",
        lambda t: "A" + t[1:],
        lambda t: t.replace(t[40], "_", 1),
    ],
)
async def test_a_job_that_was_altered_does_not_exist(tmp_path: Path, change: Any) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        status = await begun(stage)
        place, _, job = status.partition("_job=")
        upstream.calls.clear()
        assert (await stage.ask(f"{place}_job={change(job)}", REGISTRY)).status == 404
        assert upstream.calls == []


async def test_a_file_that_was_not_asked_for_does_not_exist(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        [file] = files_of(
            await manifest_of(stage, await begun(stage, "/$export?_type=Observation"))
        ).values()
        for other in ("Patient", "Unicorn"):
            assert (await stage.ask(file.replace("Observation", other), REGISTRY)).status == 404
        assert (await stage.ask(file + "&_type=Patient", REGISTRY)).status == 400
        page = (
            file.replace("$export-file", "Observation").replace("_job=", "_page=").partition("&")[0]
        )
        assert (await stage.ask(page, REGISTRY)).status in (403, 404)


async def test_a_consent_revoked_after_the_kick_off_hides_its_lines(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        [file] = files_of(
            await manifest_of(stage, await begun(stage, "/$export?_type=Observation"))
        ).values()
        assert len(lines(await stage.ask(file, REGISTRY))) == 2
        jobs = upstream.world.exports
        upstream.world = world_of(bundle(*RECORDS[2:], consent(SHARES, "deny")), samples=False)
        upstream.world.exports = jobs
        assert (await stage.ask(file, REGISTRY)).body == b""


async def test_a_scope_that_is_gone_closes_the_files(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        status = await begun(stage, "/$export?_type=Observation")
        [file] = files_of(await manifest_of(stage, status)).values()
        narrowed = {**REGISTRY, "scope": "system/Patient.rs"}
        upstream.calls.clear()
        assert [(await stage.ask(url, narrowed)).status for url in (status, file)] == [403, 403]
        assert not any("$export" in one.target for one in upstream.calls)


async def test_who_deletes_a_job_deletes_it_upstream_too(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        status = await begun(stage)
        [file, *_] = files_of(await manifest_of(stage, status)).values()
        gone = await stage.ask(status, REGISTRY, "DELETE")
        assert (gone.status, gone.body) == (202, b"")
        assert upstream.calls[-1].method == "DELETE"
        for method, url in (("GET", status), ("DELETE", status), ("GET", file)):
            assert (await stage.ask(url, REGISTRY, method)).status == 404


async def test_an_export_under_way_tells_nothing_but_to_wait(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, upstream):
        status = await begun(stage, "/$export?_type=Observation")
        [file] = files_of(await manifest_of(stage, status)).values()

        async def busy(request: web.BaseRequest) -> web.StreamResponse | None:
            if "$export-job" not in request.raw_path:
                return None
            return web.Response(status=202, headers={"X-Progress": HIDDEN, "Retry-After": "7777"})

        upstream.override = busy
        reply = await stage.ask(status, REGISTRY)
        assert (reply.status, reply.body, reply.headers["retry-after"]) == (202, b"", "10")
        assert "x-progress" not in reply.headers
        assert (await stage.ask(file, REGISTRY)).status == 404


async def test_where_upstream_cannot_export_everybody_hears_the_same(tmp_path: Path) -> None:
    upstream = Upstream(world_of(bundle(*RECORDS), samples=False))

    async def silent(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.endswith("/metadata"):
            return None
        statement = {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "rest": [{"mode": "server"}],
        }
        return web.json_response(statement, content_type="application/fhir+json")

    upstream.override = silent
    async with (
        serving(upstream.respond) as upstream.url,
        staged(tmp_path, upstream.url, policies=policies(tmp_path)) as stage,
    ):
        upstream.calls.clear()
        answers = {
            (reply.status, reply.body)
            for who in (REGISTRY, BACKEND, "care-team-physician")
            for target in (
                "/$export",
                "/Patient/$export",
                "/Group/g/$export",
                "/$export-status?_job=x",
            )
            for reply in [
                await stage.ask(target, who, headers=ASYNC if "status" not in target else {})
            ]
        }
        assert len(answers) == 1
        assert next(iter(answers))[0] == 501
        assert upstream.calls == []
        stated = (await stage.ask("metadata", None)).text
        assert "$export" not in stated
        assert "bulkdata" not in stated


async def test_the_capability_statement_says_what_can_be_exported(tmp_path: Path) -> None:
    async with registry(tmp_path) as (stage, _):
        operations = (await stage.ask("metadata", None)).json["rest"][0]["operation"]
        assert [one["definition"].rpartition("/")[2] for one in operations] == [
            "export",
            "group-export",
            "patient-export",
        ]


async def test_a_reference_leads_to_what_may_be_exported_or_is_taken_out(tmp_path: Path) -> None:
    refers = observation("o4", SHARES, focus=[{"reference": "Observation/o1"}])
    strays = observation("o5", SHARES, focus=[{"reference": "Observation/o3"}])
    text = POLICY.replace("purpose: [HRESCH]", "purpose: [TREAT]")  # nothing else lets it read
    async with registry(tmp_path, *WORLD, refers, strays, text=text) as (stage, _):
        found = lines((await exported(stage, "/$export?_type=Observation"))["Observation"])
        by_id = {one["id"]: one for one in found}
        assert by_id["o4"]["focus"] == [{"reference": "Observation/o1"}]
        assert "Observation/o3" not in json.dumps(by_id["o5"])


async def test_a_rule_that_does_not_name_export_permits_no_line(tmp_path: Path) -> None:
    text = POLICY.replace("consent: [permit], purpose", "consent: [permit, none], purpose")
    silent = {"resourceType": "Patient", "id": "silent"}, observation("o9", "silent")
    async with registry(tmp_path, *RECORDS[:-1], *silent, text=text) as (stage, _):
        found = await exported(stage, "/$export?_type=Observation,Patient")
        assert [one["id"] for one in lines(found["Observation"])] == ["o1", "o2"]
        assert [one["id"] for one in lines(found["Patient"])] == [SHARES]


async def test_whom_policy_opens_no_group_hears_of_none(tmp_path: Path) -> None:
    text = POLICY.replace("type: [Group]", "type: [List]")
    async with registry(tmp_path, *RECORDS, text=text) as (stage, upstream):
        for group in ("g", "none"):
            reply = await stage.ask(
                f"/Group/{group}/$export?_type=Patient", REGISTRY, headers=ASYNC
            )
            assert reply.status == 403
        assert upstream.calls == []


async def test_audit_events_name_the_patients_whose_lines_left(tmp_path: Path) -> None:
    async with registry(tmp_path, *WORLD) as (stage, _):
        await exported(stage, "/Group/g/$export?_type=Observation")
        observer = Observer(PUBLIC, "gateway")
        events = [one for entry in stage.entries() for one in events_of(entry, observer=observer)]
        for event in events:
            AuditEvent.model_validate(event)
        rest = [one for one in events if one["type"]["code"] == "rest"]
        assert {one["subtype"][0]["code"] for one in rest} == {"operation"}
        assert f"Patient/{SHARES}" in json.dumps(rest)
        assert f"Patient/{REFUSES}" not in json.dumps(rest)
