"""CapabilityStatement: what upstream can do, reduced to what the gateway lets through (https://hl7.org/fhir/R4/capabilitystatement.html).

Built anew from a few words of upstream's statement, each of them found in our own tables: no URL, no software
name, no operation, no write and no free text of upstream can be in it (threats T-64).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from proxy import __version__
from proxy.errors import UpstreamError
from proxy.fhir.chains import MAX_DEPTH
from proxy.fhir.definitions import Definitions, definitions_of
from proxy.fhir.export import levels_of, operation_of
from proxy.fhir.membership import compartments_of
from proxy.fhir.search import includable, searchable

SOFTWARE = "FHIR Consent Proxy"

_INTERACTIONS = ("read", "vread", "history-instance", "history-type", "search-type")
_SYSTEM_INTERACTIONS = ("history-system",)
OPERATIONS = {
    "Composition": (("document", "http://hl7.org/fhir/OperationDefinition/Composition-document"),),
    "Patient": (
        ("everything", "http://hl7.org/fhir/OperationDefinition/Patient-everything"),
        ("summary", "http://hl7.org/fhir/uv/ips/OperationDefinition/summary"),
    ),
    "Observation": (("lastn", "http://hl7.org/fhir/OperationDefinition/Observation-lastn"),),
    "DocumentReference": (("docref", "http://hl7.org/fhir/us/core/OperationDefinition/docref"),),
}
"""Operations that are composed here, whether upstream has them or not."""
_VERSIONING = frozenset({"no-version", "versioned", "versioned-update"})

# IUA 34.1.1.3 wants its code declared (standards AUTH-14); SMART conformance.md wants the other.
_SERVICES = (
    ("http://terminology.hl7.org/CodeSystem/restful-security-service", "SMART-on-FHIR"),
    ("http://profiles.ihe.net/fhir/ihe.securityTypes/CodeSystem/securityTypes", "IUA"),
)
_SECURITY = {
    "service": [{"coding": [{"system": system, "code": code}]} for system, code in _SERVICES],
    "description": "A bearer token is required for everything but this statement. Patient consent, security labels "
    "and policy decide what is disclosed: what may not be seen is as if it did not exist.",
}

# There is no element for chains, `_has` and result parameters (FHIR R4, CapabilityStatement).
_SEARCHES = (
    f"Searches take chained parameters and _has, of up to {MAX_DEPTH} links, and _count, _elements, _include, _revinclude, "
    "_sort, _summary and _total. Chains lead through what the caller may see, and totals count it, exactly; a search that "
    "would lead through too much, or count too much, is refused (too-costly). Other parameters of FHIR or of a server are refused. "
    "All types of a compartment at once (`*`) take _id, _lastUpdated, _type, _count, _elements, _summary and _total."
)

_NO_ENDPOINTS: Mapping[str, str] = MappingProxyType({})
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
"""How SMART 1.0 told endpoints; clients that know no `.well-known/smart-configuration` still look for it."""


def _oauth_uris(endpoints: Mapping[str, str]) -> dict[str, object]:
    told = [{"url": name, "valueUri": url} for name, url in sorted(endpoints.items())]
    return {"extension": [{"url": OAUTH_URIS, "extension": told}]} if told else {}


_Links = Mapping[str, Mapping[str, frozenset[str]]]


class _Coded(msgspec.Struct, frozen=True):
    code: str


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Resource(msgspec.Struct, frozen=True, rename="camel"):
    """`CapabilityStatement.rest.resource`, as far as it is read."""

    type: str
    interaction: tuple[_Coded, ...] = ()
    versioning: str = ""
    search_include: tuple[str, ...] = ()
    search_rev_include: tuple[str, ...] = ()
    search_param: tuple[_Named, ...] = ()


class _Rest(msgspec.Struct, frozen=True):
    """`CapabilityStatement.rest`."""

    mode: str
    resource: tuple[_Resource, ...] = ()
    interaction: tuple[_Coded, ...] = ()


class _Statement(msgspec.Struct, frozen=True, rename="camel"):
    """An upstream CapabilityStatement, as far as it is read."""

    resource_type: Literal["CapabilityStatement"]
    fhir_version: str
    rest: tuple[_Rest, ...]


def reduced(
    capability: bytes | Mapping[str, object],
    *,
    public_url: str,
    version: str,
    now_iso: str,
    endpoints: Mapping[str, str] = _NO_ENDPOINTS,
) -> bytes:
    """Write the gateway's CapabilityStatement from upstream's. `endpoints` are those of the authorization server, by name.

    `version` is the FHIR version (`4.0.1`), `now_iso` the FHIR dateTime it is stated at. Raises UpstreamError
    for a statement that cannot be read, is of another FHIR version or describes no server.
    """
    statement = _statement_of(capability)
    if _minor(statement.fhir_version) != _minor(version):
        raise UpstreamError("the server states another FHIR version than it is configured for")
    servers = [rest for rest in statement.rest if rest.mode == "server"]
    if not servers:
        raise UpstreamError("the server's CapabilityStatement describes no server")
    resources = _resources(servers[0].resource, definitions_of(version))
    rest = {
        "mode": "server",
        "documentation": _SEARCHES,
        "security": _SECURITY | _oauth_uris(endpoints),
        "resource": resources,
    }
    held = compartments_of(
        frozenset(str(one["type"]) for one in resources), definitions_of(version)
    )
    if held:
        rest["compartment"] = held
    stated = {one.code for one in servers[0].interaction}
    whole = [{"code": code} for code in _SYSTEM_INTERACTIONS if code in stated]
    if whole:
        rest["interaction"] = whole
    operations = [operation_of(level) for level in sorted(_exports(capability))]
    if operations:
        rest["operation"] = operations
    return msgspec.json.encode(_frame(public_url, version, now_iso) | {"rest": [rest]})


def _exports(capability: bytes | Mapping[str, object]) -> frozenset[str]:
    return levels_of(
        capability if isinstance(capability, bytes) else msgspec.json.encode(capability)
    )


def _statement_of(capability: bytes | Mapping[str, object]) -> _Statement:
    try:
        if isinstance(capability, bytes):
            return msgspec.json.decode(capability, type=_Statement)
        return msgspec.convert(capability, _Statement)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise UpstreamError("the server's CapabilityStatement cannot be read") from None


def _minor(version: str) -> list[str]:
    """Take the part of a FHIR version that decides on the shape of resources: `4.0` of `4.0.1`."""
    return version.split(".")[:2]


def _frame(public_url: str, version: str, now_iso: str) -> dict[str, object]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": now_iso,
        "kind": "instance",
        "software": {"name": SOFTWARE, "version": __version__},
        "implementation": {
            "description": "A consent and security-label gateway",
            "url": public_url.rstrip("/"),
        },
        "fhirVersion": version,
        "format": ["application/fhir+json", "json"],
    }


def _resources(
    resources: tuple[_Resource, ...], definitions: Definitions
) -> list[dict[str, object]]:
    """Reduce each type; one that is unknown to us or of which nothing is left is not named."""
    known = {r.type: r for r in resources if r.type in definitions.resource_types}
    links = {rtype: includable(rtype, definitions) for rtype in known}
    reduced_resources = (_resource(known[rtype], links, definitions) for rtype in sorted(known))
    return [resource for resource in reduced_resources if "interaction" in resource]


def _resource(resource: _Resource, links: _Links, definitions: Definitions) -> dict[str, object]:
    codes = {interaction.code for interaction in resource.interaction}
    kept = [{"code": code} for code in _INTERACTIONS if code in codes]
    versioning = resource.versioning if resource.versioning in _VERSIONING else ""
    parts: dict[str, object] = {"interaction": kept, "versioning": versioning}
    if "search-type" in codes:
        parts |= _search(resource, links, definitions)
        parts["operation"] = [
            {"name": name, "definition": definition}
            for name, definition in OPERATIONS.get(resource.type, ())
        ]
    return {"type": resource.type} | {name: part for name, part in parts.items() if part}


def _search(resource: _Resource, links: _Links, definitions: Definitions) -> dict[str, object]:
    """Reduce includes and search parameters to those that the gateway takes."""
    params = searchable(resource.type, definitions.fhir_version)
    named = dict.fromkeys(p.name for p in resource.search_param if p.name in params)
    return {
        "searchInclude": [
            text
            for text in dict.fromkeys(resource.search_include)
            if _targets(text, links) and text.startswith(f"{resource.type}:")
        ],
        "searchRevInclude": [
            text
            for text in dict.fromkeys(resource.search_rev_include)
            if resource.type in _targets(text, links)
        ],
        "searchParam": [{"name": name, "type": params[name].kind} for name in named],
    }


def _targets(include: str, links: _Links) -> frozenset[str]:
    """Give the types that `Source:param` reaches; none if it is not both known and let through."""
    source, _, name = include.partition(":")
    return links.get(source, {}).get(name, frozenset())
