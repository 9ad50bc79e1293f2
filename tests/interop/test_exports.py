"""Bulk export through the gateway from a HAPI FHIR server: its batch jobs, its status pages, its files, which are Binary resources."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.bulk import (  # fmt: skip
    ASYNC,
    CONCEALED,
    HIDDEN,
    POLICY,
    RECORDS,
    REFUSES,
    REGISTRY,
    SHARES,
    consent,
    files_of,
    lines,
    observation,
)
from tests.interop import hapi_server
from tests.interop.asking import Ask, asking
from tests.interop.resources import bundle_of, put
from tests.stage import BASELINE, Json, Reply, Stage, names, staged

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        hapi_server.why_unavailable() is not None, reason="no HAPI FHIR server can be had"
    ),
]

MOST_POLLS = 150
OTHER: dict[str, Any] = {**REGISTRY, "sub": "another", "client_id": "another"}
_RULE = """
  - id: another-exports-patients
    description: Another server learns who there is.
    effect: permit
    target:
      principal: {kind: [system], client: [another]}
      interaction: [export]
      consent: [permit]
      resource: {type: [Patient]}
    redact: {remove: [Patient.name, Patient.gender]}
"""
_KINDS = "Patient,Observation,Condition"


def _storable(resource: Json) -> Json:
    """The same with what this server insists on."""
    if resource["resourceType"] == "Condition":
        return {**resource, "language": "en", "note": [{"text": HIDDEN}]}
    return resource


@dataclass(frozen=True, slots=True)
class Scene:
    """The server, and the gateway in front of it."""

    hapi: Ask
    stage: Stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    policies = folder / "policies"
    shutil.copytree(BASELINE, policies, ignore=shutil.ignore_patterns("tests", "hospital"))
    (policies / "registry.yaml").write_text(POLICY + _RULE)
    with hapi_server.running(enforce_references=False, exports=True) as url:
        async with asking(url) as hapi:
            stored = [put(_storable(one)) for one in (*RECORDS, *CONCEALED)]
            status, _, _ = await hapi("POST", "", body=bundle_of("transaction", *stored))
            assert status == 200
            await hapi("GET", "metadata")  # the first one takes long
            async with staged(folder, url, policies=policies) as stage:
                yield Scene(hapi, stage)


async def begun(stage: Stage, target: str, who: Any = REGISTRY, body: bytes | None = None) -> str:
    headers = {**ASYNC, **({"Content-Type": "application/fhir+json"} if body else {})}
    reply = await stage.ask(target, who, "POST" if body else "GET", headers, body)
    assert (reply.status, reply.body) == (202, b""), reply.body
    return reply.headers["content-location"]


async def manifest_of(stage: Stage, status: str, who: Any = REGISTRY) -> Json:
    for _ in range(MOST_POLLS):
        reply = await stage.ask(status, who)
        if reply.status != 202:
            assert reply.status == 200, reply.body
            return reply.json
        assert (reply.body, reply.headers["retry-after"]) == (b"", "10")
        assert "x-progress" not in reply.headers
        await asyncio.sleep(0.2)
    raise AssertionError("the export is never ready")


async def exported(
    stage: Stage, target: str, who: Any = REGISTRY, body: bytes | None = None
) -> dict[str, Reply]:
    manifest = await manifest_of(stage, await begun(stage, target, who, body), who)
    return {kind: await stage.ask(url, who) for kind, url in files_of(manifest).items()}


def ids(reply: Reply) -> list[str]:
    return sorted(one["id"] for one in lines(reply))


async def test_the_gateway_states_what_the_server_can_export(scene: Scene) -> None:
    operations = (await scene.stage.ask("metadata", None)).json["rest"][0]["operation"]
    stated = {one["definition"].rpartition("/")[2] for one in operations}
    assert {"export", "group-export", "patient-export"} <= stated


@pytest.mark.parametrize("level", ["/$export", "/Patient/$export", "/Group/g/$export"])
async def test_the_files_hold_what_is_permitted_and_nothing_else(scene: Scene, level: str) -> None:
    scene.stage.entries()
    files = await exported(scene.stage, f"{level}?_type={_KINDS}")
    assert list(files) == _KINDS.split(",")
    assert {one.status for one in files.values()} == {200}
    assert ids(files["Observation"]) == ["o1", "o2"]
    assert files["Condition"].body == b""
    [patient] = lines(files["Patient"])
    assert (patient["id"], "name" in patient, "telecom" in patient) == (SHARES, False, False)
    assert not any(HIDDEN in one.text or REFUSES in one.text for one in files.values())
    entries = scene.stage.entries()
    assert sorted(names(entries, "disclosed")) == ["Observation/o1", "Observation/o2"]
    assert "Observation/o3" in names(entries, "withheld")


async def test_a_line_leaves_as_the_server_wrote_it(scene: Scene) -> None:
    files = await exported(scene.stage, "/$export?_type=Observation")
    _, _, stored = await scene.hapi("GET", "Observation/o1")
    [line] = [one for one in files["Observation"].body.splitlines() if b'"id":"o1"' in one]
    assert orjson.loads(line) == stored


async def test_the_manifest_names_our_files_alone(scene: Scene) -> None:
    manifest = await manifest_of(scene.stage, await begun(scene.stage, f"/$export?_type={_KINDS}"))
    text = orjson.dumps(manifest).decode()
    assert "127.0.0.1" not in text.replace(scene.stage.gateway.url, "")
    assert "Binary" not in text
    assert manifest["requiresAccessToken"] is True
    assert manifest["error"] == []
    assert [one.keys() for one in manifest["output"]] == [{"type", "url"}] * 3


async def test_all_types_can_be_asked_for_at_once(scene: Scene) -> None:
    for level in ("/$export", "/Patient/$export", "/Group/g/$export"):
        files = await exported(scene.stage, level)
        assert {kind for kind, one in files.items() if one.body} == {"Observation", "Patient"}


async def test_two_callers_export_what_each_may_see(scene: Scene) -> None:
    one, other = await asyncio.gather(
        exported(scene.stage, "/$export?_type=Patient"),
        exported(scene.stage, "/$export?_type=Patient", OTHER),
    )
    assert lines(one["Patient"])[0].keys() - lines(other["Patient"])[0].keys() == {"gender"}
    assert ids(one["Patient"]) == ids(other["Patient"]) == [SHARES]
    refused = await scene.stage.ask("/$export?_type=Observation", OTHER, headers=ASYNC)
    assert refused.status == 403


async def test_a_job_is_absent_for_everybody_else(scene: Scene) -> None:
    status = await begun(scene.stage, "/$export?_type=Patient")
    [file] = files_of(await manifest_of(scene.stage, status)).values()
    absent = await scene.stage.ask("/$export-status?_job=none", OTHER)
    for method, url in (("GET", status), ("DELETE", status), ("GET", file)):
        reply = await scene.stage.ask(url, OTHER, method)
        assert (reply.status, reply.body) == (404, absent.body)
    assert (await scene.stage.ask(file, REGISTRY)).status == 200


async def test_a_job_under_way_can_be_deleted(scene: Scene) -> None:
    for _ in range(5):  # it may be done before it is deleted: then this server keeps it
        status = await begun(scene.stage, "/$export")
        gone = await scene.stage.ask(status, REGISTRY, "DELETE")
        if gone.status == 202:
            assert (await scene.stage.ask(status, REGISTRY)).status == 404
            return
        assert gone.status == 404
    raise AssertionError("no job could be deleted while it was under way")


async def test_a_file_is_no_binary_that_could_be_read(scene: Scene) -> None:
    await exported(scene.stage, "/$export?_type=Observation")
    _, _, found = await scene.hapi("GET", "Binary?_count=1")
    assert isinstance(found, dict)
    own = found["entry"][0]["resource"]["id"]
    for who in (REGISTRY, "care-team-physician"):
        assert (await scene.stage.ask(f"Binary/{own}", who)).status == 404


async def test_each_export_is_made_anew(scene: Scene) -> None:
    """This server would give an earlier job of the same parameters, with what was there then."""
    first = await exported(scene.stage, "/$export?_type=Observation&_since=2020-01-01T00:00:00Z")
    await scene.hapi("PUT", "Observation/o9", body=observation("o9", SHARES))
    second = await exported(scene.stage, "/$export?_type=Observation&_since=2020-01-01T00:00:00Z")
    await scene.hapi("DELETE", "Observation/o9")
    assert (ids(first["Observation"]), ids(second["Observation"])) == (["o1", "o2"], ["o1", "o2", "o9"])  # fmt: skip


async def test_a_consent_revoked_after_the_kick_off_hides_its_lines(scene: Scene) -> None:
    status = await begun(scene.stage, "/$export?_type=Observation")
    [file] = files_of(await manifest_of(scene.stage, status)).values()
    assert ids(await scene.stage.ask(file, REGISTRY)) == ["o1", "o2"]
    await scene.hapi("PUT", f"Consent/{SHARES}-says", body=consent(SHARES, "deny"))
    try:
        assert (await scene.stage.ask(file, REGISTRY)).body == b""
    finally:
        await scene.hapi("PUT", f"Consent/{SHARES}-says", body=consent(SHARES, "permit"))


async def test_an_export_may_be_narrowed(scene: Scene) -> None:
    searched = "/$export?_type=Observation&_typeFilter=Observation%3F_id%3Do1,o3"
    assert ids((await exported(scene.stage, searched))["Observation"]) == ["o1"]
    elements = await exported(scene.stage, "/$export?_type=Patient&_elements=gender")
    assert lines(elements["Patient"])[0].keys() == {"resourceType", "id", "meta", "gender"}
    never = "/$export?_type=Observation&_until=2020-01-01T00:00:00Z"
    assert (await exported(scene.stage, never))["Observation"].body == b""


@pytest.mark.parametrize("named", [[SHARES], [SHARES, REFUSES, "none"]])
async def test_an_export_may_name_patients(scene: Scene, named: list[str]) -> None:
    parameters = [{"name": "patient", "valueReference": {"reference": f"Patient/{one}"}} for one in named]  # fmt: skip
    types = {"name": "_type", "valueString": _KINDS}
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [*parameters, types]})
    files = await exported(scene.stage, "/Patient/$export", body=body)
    assert {kind: ids(one) for kind, one in files.items()} == {"Patient": [SHARES], "Observation": ["o1", "o2"], "Condition": []}  # fmt: skip
