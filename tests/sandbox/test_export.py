import json

import pytest

from proxy.sandbox import export
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import Answer
from tests.sandbox import made

ASYNC = {"prefer": "respond-async"}


def world() -> Interactions:
    found = made.small_world()
    member = [{"entity": {"reference": "Patient/ann"}}]
    made.put(found.store, "Group", "g", type="person", actual=True, member=member)
    return found


def begun(server: Interactions, target: str) -> str:
    answer = server.answer(made.ask("GET", target, **ASYNC))
    assert answer.status == 202
    return answer.headers["Content-Location"].removeprefix("http://here/fhir/")


def files(server: Interactions, target: str) -> dict[str, list[str]]:
    manifest = made.read(server.answer(made.ask("GET", begun(server, target))))
    found: dict[str, list[str]] = {}
    for one in manifest["output"]:
        answer = server.answer(made.ask("GET", one["url"].removeprefix("http://here/fhir/")))
        assert answer.headers["Content-Type"] == "application/fhir+ndjson"
        ids = [json.loads(line)["id"] for line in answer.body.splitlines()]
        assert len(ids) == one["count"]
        found.setdefault(one["type"], []).extend(ids)
    return found


def test_a_system_is_exported_whole() -> None:
    server = world()
    found = files(server, "$export")
    assert set(found) == set(server.store.types())
    assert found["Patient"] == ["ann", "bob"]


def test_patients_are_exported_with_their_compartments_and_groups_with_their_members() -> None:
    assert "Practitioner" not in files(world(), "Patient/$export")
    assert files(world(), "Patient/$export?_type=Patient")["Patient"] == ["ann", "bob"]
    assert files(world(), "Group/g/$export?_type=Patient")["Patient"] == ["ann"]
    everybody = files(world(), "Patient/$export?_type=Observation")
    assert everybody == files(world(), "Group/g/$export?_type=Observation")
    assert everybody["Observation"]


def test_only_what_is_new_is_exported_since() -> None:
    assert files(world(), "$export?_since=2030-01-01T00:00:00Z") == {}


def test_many_resources_of_a_type_go_into_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "FILE_LINES", 1)
    assert files(world(), "$export?_type=Patient") == {"Patient": ["ann", "bob"]}


def test_a_deleted_job_is_gone() -> None:
    server = world()
    job = begun(server, "$export")
    assert server.answer(made.ask("DELETE", job)).status == 202
    assert server.answer(made.ask("GET", job)).status == 404
    assert server.answer(made.ask("GET", f"{job}/0")).status == 404


REFUSED: list[tuple[str, str, dict[str, str], int]] = [
    ("GET", "$export", {}, 400),
    ("GET", "$export?_elements=x", ASYNC, 400),
    ("GET", "$export?_since=x", ASYNC, 400),
    ("GET", "Group/none/$export?_type=Patient", ASYNC, 404),
    ("GET", "$export-job/none", {}, 404),
    ("POST", "$export-job/none", {}, 404),
    ("GET", "Observation/$export", ASYNC, 404),
]


@pytest.mark.parametrize(("method", "target", "headers", "status"), REFUSED)
def test_what_is_no_export_is_refused(
    method: str, target: str, headers: dict[str, str], status: int
) -> None:
    answer: Answer = world().answer(made.ask(method, target, **headers))
    assert answer.status == status


def test_a_job_takes_no_other_method_and_has_no_other_file() -> None:
    server = world()
    job = begun(server, "$export?_type=Patient")
    assert server.answer(made.ask("PUT", job)).status == 405
    for number in ("1", "x", "-1"):
        assert server.answer(made.ask("GET", f"{job}/{number}")).status == 404
