"""The CapabilityStatement of the embedded server, generated from the definition tables."""

import functools

import msgspec

from proxy.fhir.definitions import definitions_of
from proxy.sandbox.model import SOFTWARE
from proxy.sandbox.values import is_readable

_INTERACTIONS = (
    "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type",
)  # fmt: skip
_PUBLISHED = "2026-01-01"
_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"


def capability(fhir_version: str, base: str) -> bytes:
    """Write the CapabilityStatement of a FHIR version at a base URL."""
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _PUBLISHED,
        "kind": "instance",
        "software": {"name": SOFTWARE, "version": "1"},
        "implementation": {"description": SOFTWARE, "url": base},
        "description": "An embedded FHIR server for demonstration and tests. It is no production server.",
        "fhirVersion": fhir_version,
        "format": ["application/fhir+json", "json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [
            {
                "mode": "server",
                "resource": msgspec.Raw(_resources(fhir_version)),
                "interaction": [
                    {"code": code} for code in ("transaction", "batch", "history-system")
                ],
                "operation": [
                    {"name": name, "definition": f"{_BULK}/{name}"}
                    for name in ("export", "patient-export", "group-export")
                ],
            }
        ],
    }
    return msgspec.json.encode(statement)


@functools.cache
def _resources(fhir_version: str) -> bytes:
    kinds = sorted(definitions_of(fhir_version).resource_types)
    return msgspec.json.encode([_resource(fhir_version, kind) for kind in kinds])


def _resource(fhir_version: str, kind: str) -> dict[str, object]:
    params = definitions_of(fhir_version).search_params[kind].values()
    readable = [param for param in params if is_readable(param)]
    references = [f"{kind}:{param.name}" for param in readable if param.kind == "reference"]
    described: dict[str, object] = {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "searchInclude": ["*", *references],
        "searchParam": [{"name": param.name, "type": param.kind} for param in readable],
    }
    if kind == "Patient":
        definition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        described["operation"] = [{"name": "everything", "definition": definition}]
    return described
