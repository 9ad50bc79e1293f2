import json
from typing import Any

import pytest
from fhir.resources.capabilitystatement import CapabilityStatement as R5CapabilityStatement
from fhir.resources.R4B.capabilitystatement import CapabilityStatement as R4BCapabilityStatement
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import UpstreamError
from proxy.fhir.capability import OAUTH_URIS, reduced
from proxy.fhir.definitions import definitions_of
from proxy.fhir.search import searchable

PUBLIC = "https://gateway.example/fhir"
NOW = "2026-11-22T10:00:00Z"


def statement(**changes: object) -> dict[str, Any]:
    observation = {
        "type": "Observation",
        "profile": "http://up.internal/profile",
        "documentation": "CANARY",
        "interaction": [
            {"code": code}
            for code in ("search-type", "create", "read", "vread", "delete", "history-type", "patch")
        ],
        "versioning": "versioned",
        "conditionalCreate": True,
        "searchInclude": ["*", "Observation:subject", "Observation:code", "Patient:link", "Observation:CANARY"],
        "searchRevInclude": ["Provenance:target", "Condition:subject", "Observation:has-member", "CANARY:x"],
        "searchParam": [
            {"name": name, "type": "token", "documentation": "CANARY"}
            for name in ("code", "_id", "_security", "_content", "code-value-quantity", "CANARY", "date", "code")
        ],
        "operation": [{"name": "lastn", "definition": "http://up.internal/lastn"}],
    }  # fmt: skip
    return {
        "resourceType": "CapabilityStatement",
        "url": "http://up.internal/fhir/metadata",
        "status": "active",
        "date": "2020-01-01",
        "kind": "instance",
        "software": {"name": "CANARY", "version": "1"},
        "implementation": {"description": "CANARY", "url": "http://up.internal/fhir"},
        "fhirVersion": "4.0.1",
        "format": ["xml", "json"],
        "rest": [
            {"mode": "client"},
            {
                "mode": "server",
                "documentation": "CANARY",
                "security": {"description": "CANARY"},
                "resource": [
                    observation,
                    {"type": "Provenance", "interaction": [{"code": "read"}]},
                    {"type": "Condition", "interaction": [{"code": "read"}], "searchParam": [{"name": "code"}]},
                    {"type": "Task", "interaction": [{"code": "create"}]},
                    {"type": "CANARY", "interaction": [{"code": "read"}]},
                ],
                "interaction": [{"code": "transaction"}],
                "operation": [{"name": "export", "definition": "http://up.internal/export"}],
            },
        ],
    } | changes  # fmt: skip


def reduce(capability: object, version: str = "4.0.1") -> dict[str, Any]:
    body = json.dumps(capability).encode()
    return dict(json.loads(reduced(body, public_url=PUBLIC, version=version, now_iso=NOW)))


def test_only_what_the_gateway_lets_through_is_stated() -> None:
    rest = reduce(statement())["rest"]

    assert [entry["mode"] for entry in rest] == ["server"]
    said = rest[0]["documentation"]
    assert all(one in said for one in ("_has", "_total", "_summary", "_elements"))
    assert rest[0]["resource"] == [
        {"type": "Condition", "interaction": [{"code": "read"}]},
        {
            "type": "Observation",
            "interaction": [
                {"code": "read"},
                {"code": "vread"},
                {"code": "history-type"},
                {"code": "search-type"},
            ],
            "versioning": "versioned",
            "searchInclude": ["Observation:subject"],
            "searchRevInclude": ["Provenance:target", "Observation:has-member"],
            "searchParam": [
                {"name": "code", "type": "token"},
                {"name": "_id", "type": "token"},
                {"name": "date", "type": "date"},
            ],
            "operation": [
                {
                    "name": "lastn",
                    "definition": "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
                }
            ],
        },
        {"type": "Provenance", "interaction": [{"code": "read"}]},
    ]


def test_what_is_composed_is_stated_whether_upstream_has_it_or_not() -> None:
    own = statement()
    listed = own["rest"][1]["resource"]
    searched = [{"code": "read"}, {"code": "search-type"}]
    listed += [{"type": one, "interaction": searched} for one in ("Patient", "Composition")]
    found = {
        one["type"]: [each["name"] for each in one.get("operation", [])]
        for one in reduce(own)["rest"][0]["resource"]
    }
    assert found["Patient"] == ["everything", "summary"]
    assert found["Composition"] == ["document"]


def test_nothing_of_upstream_s_own_words_is_in_it() -> None:
    text = json.dumps(reduce(statement()))

    assert "CANARY" not in text
    assert "up.internal" not in text
    assert "up.internal" not in text


def test_an_export_is_stated_where_upstream_states_it_and_in_our_words() -> None:
    found = reduce(statement())["rest"][0]["operation"]

    assert [one["definition"].rpartition("/")[2] for one in found] == ["export"]


def test_the_history_of_the_system_is_stated_where_upstream_has_it() -> None:
    own = statement()
    assert "interaction" not in reduce(own)["rest"][0]
    own["rest"][1]["interaction"] = [{"code": "batch"}, {"code": "history-system"}]
    assert reduce(own)["rest"][0]["interaction"] == [{"code": "history-system"}]


def test_it_names_the_gateway_and_its_security() -> None:
    found = reduce(statement())
    services = found["rest"][0]["security"]["service"]

    assert found["implementation"]["url"] == PUBLIC
    assert found["date"] == NOW
    assert found["software"]["name"] == "FHIR Consent Proxy"
    assert [service["coding"][0]["code"] for service in services] == ["SMART-on-FHIR", "IUA"]


@pytest.mark.parametrize(
    ("version", "model"),
    [("4.3.0", R4BCapabilityStatement), ("5.0.0", R5CapabilityStatement)],
)
def test_it_is_valid_fhir(version: str, model: Any) -> None:
    found = reduce(statement(fhirVersion=version), version)

    assert model.model_validate(found).fhirVersion == version


@pytest.mark.parametrize("version", ["4.0.1", "5.0.0"])
def test_a_server_that_can_do_everything_is_reduced_to_our_tables(version: str) -> None:
    types = definitions_of(version).resource_types
    everything = [
        {
            "type": rtype,
            "interaction": [{"code": "search-type"}],
            "searchParam": [{"name": n} for n in definitions_of(version).search_params[rtype]],
        }
        for rtype in types
    ]
    found = reduce(
        statement(fhirVersion=version, rest=[{"mode": "server", "resource": everything}]), version
    )

    for resource in found["rest"][0]["resource"]:
        names = {param["name"] for param in resource["searchParam"]}
        assert names == set(searchable(resource["type"], version))


def test_a_parsed_statement_is_taken_too() -> None:
    found = reduced(statement(), public_url=PUBLIC, version="4.0.1", now_iso=NOW)

    assert json.loads(found) == reduce(statement())


@pytest.mark.parametrize(
    "capability",
    [
        [], {}, "x", {"resourceType": "Bundle", "fhirVersion": "4.0.1", "rest": []}, statement(fhirVersion="5.0.0"),
        statement(fhirVersion="4.3.0"), statement(fhirVersion=4), statement(rest=[]), statement(rest=[{"mode": "client"}]),
        statement(rest={}), statement(rest=[{"mode": "server", "resource": [{"type": ["Patient"]}]}]),
        statement(rest=[{"mode": "server", "resource": [None]}]), statement(resourceType="capabilitystatement"),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_used_is_upstream_s_fault(capability: object) -> None:
    with pytest.raises(UpstreamError):
        reduce(capability)


@given(st.binary())
def test_any_bytes_are_a_statement_or_upstream_s_fault(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        reduced(body, public_url=PUBLIC, version="4.0.1", now_iso=NOW)


def test_endless_nesting_is_upstream_s_fault() -> None:
    body = b'{"rest":' + b"[" * 100_000

    with pytest.raises(UpstreamError):
        reduced(body, public_url=PUBLIC, version="4.0.1", now_iso=NOW)


def stated_security(endpoints: dict[str, str]) -> dict[str, Any]:
    body = reduced(
        statement(), public_url=PUBLIC, version="4.0.1", now_iso=NOW, endpoints=endpoints
    )
    return dict(json.loads(body)["rest"][0]["security"])


def test_the_authorization_servers_endpoints_are_told_as_smart_1_told_them() -> None:
    told = stated_security({"token": "https://idp/t", "authorize": "https://idp/a"})
    [extension] = told["extension"]
    assert extension["url"] == OAUTH_URIS
    assert extension["extension"] == [
        {"url": "authorize", "valueUri": "https://idp/a"},
        {"url": "token", "valueUri": "https://idp/t"},
    ]
    assert "extension" not in stated_security({})


@pytest.mark.parametrize("version", ["4.0.1", "5.0.0"])
def test_the_compartments_of_what_is_served_are_stated(version: str) -> None:
    own = statement(fhirVersion=version)
    listed = own["rest"][1]["resource"]
    assert "compartment" not in reduce(own, version)["rest"][0]
    listed += [
        {"type": one, "interaction": [{"code": "read"}]} for one in ("Patient", "RelatedPerson")
    ]
    head = "http://hl7.org/fhir/CompartmentDefinition"
    rest = reduce(own, version)["rest"][0]
    assert rest["compartment"] == [f"{head}/patient", f"{head}/relatedPerson"]
    assert "(`*`)" in rest["documentation"]
