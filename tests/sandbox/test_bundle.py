import json

import pytest

from proxy.fhir.definitions import definitions_of
from proxy.sandbox import bundle
from proxy.sandbox.model import Answer, outcome
from proxy.sandbox.query import Query
from tests.sandbox import made

R4 = definitions_of("4.0.1")


def test_entries_are_joined_as_they_are() -> None:
    written = bundle.bundle("searchset", [b'{"n":1.00}', b'{"n":2}'], [("self", "u")], 2)

    assert b'"entry":[{"n":1.00},{"n":2}]' in written
    found = json.loads(written)
    assert (found["type"], found["total"], found["link"]) == (
        "searchset",
        2,
        [{"relation": "self", "url": "u"}],
    )


def test_without_entries_there_is_no_list() -> None:
    assert "entry" not in json.loads(bundle.bundle("searchset", []))


def test_a_history_entry_says_what_happened() -> None:
    store = made.store()
    first = made.put(store, "Patient", "a")
    gone = store.delete("Patient", "a")
    assert gone is not None

    made_entry, gone_entry = (
        json.loads(bundle.history_entry("http://h", v)) for v in (first, gone)
    )

    assert made_entry["request"] == {"method": "PUT", "url": "Patient/a"}
    assert made_entry["response"]["status"] == "201 Created"
    assert made_entry["resource"]["id"] == "a"
    assert gone_entry["request"]["method"] == "DELETE"
    assert "resource" not in gone_entry


def test_a_response_entry_carries_status_version_and_outcome() -> None:
    version = made.put(made.store(), "Patient", "a")

    good = json.loads(
        bundle.response_entry(Answer(201, version.body or b"", {}, version), with_resource=True)
    )
    bad = json.loads(
        bundle.response_entry(Answer(404, outcome("error", "not-found", "x")), with_resource=True)
    )

    assert good["response"]["status"] == "201 Created"
    assert good["response"]["location"] == "Patient/a/_history/1"
    assert good["resource"]["id"] == "a"
    assert bad["response"]["status"] == "404 Not Found"
    assert bad["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert "resource" not in bad


SHOWN = [
    (Query("Observation"), {"status", "code", "note", "text"}),
    (Query("Observation", elements=("status",)), {"status"}),
    (Query("Observation", elements=("code.coding",)), {"code"}),
    (Query("Observation", summary="true"), {"status", "code"}),
    (Query("Observation", summary="text"), {"status", "code", "text"}),
    (Query("Observation", summary="data"), {"status", "code", "note"}),
    (Query("Patient", elements=("name",)), {"status", "code", "note", "text"}),
]


@pytest.mark.parametrize(("query", "elements"), SHOWN)
def test_a_resource_is_shown_as_asked(query: Query, elements: set[str]) -> None:
    version = made.put(
        made.store(), "Observation", "o", status="final", code={}, note=[], text={"status": "empty"}
    )

    shown = json.loads(bundle.shown(version, query, R4))

    assert set(shown) == {"resourceType", "id", "meta"} | elements
