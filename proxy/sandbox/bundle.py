"""Bundles as bytes: entries are joined, stored resources are never read again (https://hl7.org/fhir/R4/bundle.html)."""

import uuid
from collections.abc import Iterable
from http import HTTPStatus

import msgspec

from proxy.fhir.definitions import Definitions
from proxy.sandbox.body import subset
from proxy.sandbox.model import Answer, Version
from proxy.sandbox.query import Query

Links = Iterable[tuple[str, str]]

_encode = msgspec.json.encode


def bundle(
    kind: str, entries: Iterable[bytes], links: Links = (), total: int | None = None
) -> bytes:
    """Write a Bundle of a type from encoded entries; `links` are relation and URL."""
    parts = [
        b'{"resourceType":"Bundle","id":"',
        str(uuid.uuid4()).encode(),
        b'","type":"',
        kind.encode(),
        b'"',
    ]
    if total is not None:
        parts.append(b',"total":%d' % total)
    link = [{"relation": relation, "url": url} for relation, url in links]
    if link:
        parts += [b',"link":', _encode(link)]
    joined = b",".join(entries)
    if joined:
        parts += [b',"entry":[', joined, b"]"]
    return b"".join((*parts, b"}"))


def search_entry(base: str, version: Version, mode: str, body: bytes) -> bytes:
    """Write an entry of a searchset; `mode` is match or include."""
    url = f"{base}/{version.type}/{version.id}".encode()
    return b'{"fullUrl":"%b","resource":%b,"search":{"mode":"%b"}}' % (url, body, mode.encode())


def history_entry(base: str, version: Version) -> bytes:
    """Write an entry of a history; a deletion has no resource."""
    url = version.local if version.method != "POST" else version.type
    status = "201 Created" if version.version == 1 else "200 OK"
    response = {
        "status": "204 No Content" if version.body is None else status,
        "etag": version.etag,
        "lastModified": version.updated,
    }
    resource = b"" if version.body is None else b',"resource":' + version.body
    return b'{"fullUrl":%b%b,"request":%b,"response":%b}' % (
        _encode(f"{base}/{version.local}"),
        resource,
        _encode({"method": version.method, "url": url}),
        _encode(response),
    )


def response_entry(answer: Answer, *, with_resource: bool) -> bytes:
    """Write an entry of a batch-response or transaction-response."""
    response: dict[str, object] = {"status": f"{answer.status} {HTTPStatus(answer.status).phrase}"}
    version = answer.version
    if version is not None:
        response["location"] = f"{version.local}/_history/{version.version}"
        response["etag"] = version.etag
        response["lastModified"] = version.updated
    has_outcome = answer.body.startswith(b'{"resourceType":"OperationOutcome"')
    if has_outcome:
        response["outcome"] = msgspec.Raw(answer.body)
    resource = b""
    if with_resource and answer.body and not has_outcome:
        resource = b'"resource":' + answer.body + b","
    return b'{%b"response":%b}' % (resource, _encode(response))


def shown(version: Version, query: Query, definitions: Definitions) -> bytes:
    """Give what a search shows of a resource: its exact bytes, or the subset that was asked for."""
    body = version.body or b"{}"
    if query.elements and query.type == version.type:
        return subset(body, {name.partition(".")[0] for name in query.elements})
    match query.summary:
        case "true":
            return subset(body, definitions.summary[version.type])
        case "text":
            return subset(body, definitions.mandatory[version.type] | {"text"})
        case "data":
            return subset(body, _every_element(body) - {"text"})
        case _:
            return body


def _every_element(body: bytes) -> set[str]:
    return set(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
