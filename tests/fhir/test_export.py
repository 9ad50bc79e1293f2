from typing import Any

import orjson
import pytest

from proxy.errors import CallerError, UpstreamError
from proxy.fhir.definitions import definitions_of
from proxy.fhir.export import (
    file_of,
    job_of,
    levels_of,
    manifest_of,
    operation_of,
    types_of,
    written,
)  # fmt: skip

R4 = definitions_of("4.0.1")
NOW = "2026-11-22T09:00:00Z"


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
    assert {"Patient", "Observation", "Group"} <= set(types_of("Group", R4))
    assert "Group" not in types_of("Patient", R4)


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
