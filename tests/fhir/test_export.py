from typing import Any

import orjson
import pytest

from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.definitions import definitions_of
from proxy.fhir.export import (
    Wish,
    file_of,
    job_of,
    levels_of,
    manifest_of,
    operation_of,
    posted,
    query_of,
    types_of,
    wish_of,
    written,
)  # fmt: skip

R4 = definitions_of("4.0.1")
NOW = "2026-11-22T09:00:00Z"

WISHES: list[tuple[list[tuple[str, str]], Wish]] = [
    ([], Wish()),
    ([("_type", "Patient")], Wish(("Patient",))),
    ([("_type", "Patient,Observation,Patient")], Wish(("Patient", "Observation"))),
    ([("_since", NOW)], Wish(since=NOW)),
    ([("_since", "2026-11-22T09:00:00 01:00")], Wish(since="2026-11-22T09:00:00+01:00")),
    ([("_outputFormat", "ndjson")], Wish()),
    ([("_outputFormat", "application/fhir ndjson")], Wish()),
]


@pytest.mark.parametrize(("pairs", "wish"), WISHES)
def test_what_an_export_asks_for(pairs: list[tuple[str, str]], wish: Wish) -> None:
    assert wish_of(tuple(pairs), R4) == wish


REFUSED = [
    ([("_type", "Unicorn")], Refusal.PARAMETER),
    ([("_type", "Patient,")], Refusal.PARAMETER),
    ([("_type", "")], Refusal.PARAMETER),
    ([("_type", "Patient"), ("_type", "Patient")], Refusal.PARAMETER),
    ([("_since", "yesterday")], Refusal.PARAMETER),
    ([("_since", "")], Refusal.PARAMETER),
    ([("_since:missing", "true")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?active=true")], Refusal.PARAMETER),
    ([("_elements", "id")], Refusal.PARAMETER),
    ([("patient", "Patient/1")], Refusal.PARAMETER),
    ([("organizeOutputBy", "Patient")], Refusal.PARAMETER),
    ([("allowPartialManifests", "true")], Refusal.PARAMETER),
    ([("_format", "json")], Refusal.PARAMETER),
    ([("_outputFormat", "json")], Refusal.NOT_ACCEPTABLE),
    ([("_outputFormat", "")], Refusal.NOT_ACCEPTABLE),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "refusal"), REFUSED)
def test_what_cannot_be_guarded_is_refused(pairs: list[tuple[str, str]], refusal: Refusal) -> None:
    with pytest.raises(CallerError) as caught:
        wish_of(tuple(pairs), R4)
    assert caught.value.refusal is refusal


def test_what_goes_up_reads_as_what_came() -> None:
    wish = Wish(("Patient", "Observation"), "2026-11-22T09:00:00+01:00")
    assert query_of(wish) == "_type=Patient,Observation&_since=2026-11-22T09:00:00%2B01:00"
    assert query_of(Wish()) == ""


def test_posted_parameters_are_those_of_a_kick_off_and_no_others() -> None:
    named = {"name": "_type", "valueString": "Patient"}
    body = {"resourceType": "Parameters", "parameter": [named]}
    assert posted(orjson.dumps(body)) == (("_type", "Patient"),)
    for wrong in (
        {**named, "valueString": 1},
        {"name": "_type", "valueCode": "x"},
        {"name": "_typeFilter", "valueString": "x"},
    ):
        with pytest.raises(CallerError):
            posted(orjson.dumps({**body, "parameter": [wrong]}))


def test_a_job_and_a_file_are_named_once() -> None:
    assert job_of((("_job", "abc"),)) == "abc"
    assert file_of((("_job", "abc"), ("_type", "Patient"))) == ("abc", "Patient")
    for pairs in (
        (),
        (("_job", ""),),
        (("_job", "a b"),),
        (("_job", "a"), ("_job", "a")),
        (("_job", "a"), ("x", "y")),
    ):
        with pytest.raises(CallerError):
            job_of(pairs)


def test_the_types_of_a_level() -> None:
    assert "Practitioner" in types_of("", R4)
    assert "Practitioner" not in types_of("Patient", R4)
    assert {"Patient", "Observation"} <= set(types_of("Group", R4))


STATED: list[tuple[list[dict[str, Any]], frozenset[str]]] = [
    ([{"mode": "server"}], frozenset()),
    ([{"mode": "server", "operation": [{"name": "export"}]}], frozenset({""})),
    ([{"mode": "server", "operation": [{"name": "patient-export"}, {"name": "group-export"}]}], frozenset({"Patient", "Group"})),
    ([{"mode": "server", "resource": [{"type": "Patient", "operation": [{"name": "export"}]}, {"type": "Group", "operation": [{"name": "group-export"}]}]}], frozenset({"Patient", "Group"})),
    ([{"mode": "client", "operation": [{"name": "export"}]}], frozenset()),
    ([{"mode": "server", "resource": [{"type": "Observation", "operation": [{"name": "export"}]}]}], frozenset()),
    ([{"mode": "server", "operation": [{"name": "exports"}, {"name": "everything"}]}], frozenset()),
]  # fmt: skip


@pytest.mark.parametrize(("rest", "levels"), STATED)
def test_what_upstream_states_that_it_can_export(
    rest: list[dict[str, Any]], levels: frozenset[str]
) -> None:
    assert levels_of(orjson.dumps({"rest": rest})) == levels


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"rest":1}', b"\xff"])
def test_a_statement_that_cannot_be_read_states_nothing(body: bytes) -> None:
    assert levels_of(body) == frozenset()


def manifest(**more: Any) -> bytes:
    return orjson.dumps(
        {
            "transactionTime": NOW,
            "requiresAccessToken": False,
            "output": [{"type": "Patient", "url": "http://s3/a"}, {"type": "Patient", "url": "http://s3/b", "count": 7}],
            **more,
        }
    )  # fmt: skip


def test_a_manifest_of_upstream_is_read_for_its_files_and_its_instant() -> None:
    found = manifest_of(manifest(deleted=[{"type": "Bundle", "url": "x"}], error=[{"url": "y"}]))
    assert found.instant == NOW
    assert found.urls("Patient") == ("http://s3/a", "http://s3/b")
    assert found.urls("Bundle") == ()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", manifest(transactionTime="now"), manifest(output={}), manifest(output=[{"type": "Patient"}]),
     manifest(link=[{"relation": "next", "url": "http://up/2"}]), manifest(requiresAccessToken="no")],
)  # fmt: skip
def test_a_manifest_that_is_half_an_export_is_a_failure(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        manifest_of(body)


def test_our_manifest_depends_on_the_request_alone() -> None:
    found = orjson.loads(
        written(NOW, "http://us/$export", ("Patient", "Condition"), "http://us/{}".format)
    )
    assert found == {
        "transactionTime": NOW,
        "request": "http://us/$export",
        "requiresAccessToken": True,
        "output": [{"type": "Patient", "url": "http://us/Patient"}, {"type": "Condition", "url": "http://us/Condition"}],
        "error": [],
    }  # fmt: skip


def test_each_level_is_an_operation_of_the_standard() -> None:
    assert operation_of("Group") == {
        "name": "export",
        "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export",
    }
