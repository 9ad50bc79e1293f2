"""Batch and transaction (https://hl7.org/fhir/R4/http.html#transaction).

A transaction goes in five steps: read the entries; give every written resource its identity; rewrite `urn:uuid:` and
conditional references; execute in the order DELETE, POST, PUT and PATCH, GET; answer in the order of the entries. It
all happens or nothing does. A batch executes each entry for itself.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import msgspec

from proxy.sandbox.body import draft_of, with_references
from proxy.sandbox.bundle import bundle, response_entry
from proxy.sandbox.model import Answer, Ask, FhirError, Pairs, Version, invalid

if TYPE_CHECKING:
    from proxy.sandbox.interactions import Interactions


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    """`Bundle.entry.request`."""

    method: str
    url: str
    if_match: str | None = None
    if_none_exist: str | None = None
    if_none_match: str | None = None


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """`Bundle.entry` of a batch or transaction."""

    request: _Request | None = None
    full_url: str = ""
    resource: msgspec.Raw = msgspec.Raw(b"")


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    """A Bundle as far as batch and transaction read it."""

    resource_type: str
    type: str
    entry: tuple[_Entry, ...] = ()


class _Binary(msgspec.Struct, frozen=True):
    """A Binary as far as a patch reads it; `data` is base64 in JSON."""

    data: bytes


_BINARY = msgspec.json.Decoder(_Binary)
_DECODER = msgspec.json.Decoder(_Bundle)
_ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")


@dataclass(frozen=True, slots=True)
class _Part:
    """One entry as a request; `identity` is the resource that it will write, if that was found out before."""

    ask: Ask
    full_url: str = ""
    identity: str = ""
    existing: Version | None = None


def run(interactions: "Interactions", ask: Ask) -> Answer:
    """Answer a Bundle; FhirError if it is none, or if a transaction fails."""
    try:
        given = _DECODER.decode(ask.body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise invalid(f"the body is no Bundle: {error}") from error
    if given.resource_type != "Bundle" or given.type not in {"batch", "transaction"}:
        raise invalid("the base URL takes a Bundle of type batch or transaction")
    parts = [_part(entry, ask) for entry in given.entry]
    if given.type == "batch":
        answers = [interactions.answer(part.ask) for part in parts]
    else:
        answers = _transaction(interactions, parts)
    keep = "return=representation" in ask.headers.get("prefer", "")
    pairs = zip(answers, parts, strict=True)
    entries = [response_entry(a, with_resource=keep or p.ask.method == "GET") for a, p in pairs]
    return Answer(200, bundle(f"{given.type}-response", entries))


def _part(entry: _Entry, ask: Ask) -> _Part:
    request = entry.request
    if request is None or request.method not in _ORDER:
        raise invalid("every entry needs a request with a method")
    path, _, query = request.url.removeprefix(ask.base).lstrip("/").partition("?")
    segments = tuple(unquote(segment) for segment in path.split("/") if segment)
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    body = _patch_document(entry) if request.method == "PATCH" else bytes(entry.resource)
    inner = Ask(request.method, segments, pairs, _headers(request), body, ask.base)
    return _Part(inner, entry.full_url)


def _patch_document(entry: _Entry) -> bytes:
    """Give the JSON Patch that a Binary carries: a Bundle entry cannot hold a patch document itself."""
    try:
        return _BINARY.decode(entry.resource).data
    except msgspec.MsgspecError as error:
        raise invalid("a patch in a Bundle must be a Binary with a JSON Patch") from error


def _headers(request: _Request) -> dict[str, str]:
    content = (
        "application/json-patch+json" if request.method == "PATCH" else "application/fhir+json"
    )
    named = {
        "content-type": content,
        "if-match": request.if_match,
        "if-none-exist": request.if_none_exist,
        "if-none-match": request.if_none_match,
    }
    return {name: value for name, value in named.items() if value is not None}


def _transaction(interactions: "Interactions", parts: list[_Part]) -> list[Answer]:
    identified = [_identified(interactions, part) for part in parts]
    _refuse_twice(identified)
    places = {
        part.full_url: part.identity for part in identified if part.full_url and part.identity
    }
    order = sorted(range(len(parts)), key=lambda i: _ORDER.index(parts[i].ask.method))
    answers: dict[int, Answer] = {}
    with interactions.store.atomic():
        for place in order:
            part = _linked(interactions, identified[place], places)
            answers[place] = _execute(interactions, part)
        for place in order:
            interactions.keep_integrity(parts[place].ask, answers[place])
    return [answers[place] for place in range(len(parts))]


def _identified(interactions: "Interactions", part: _Part) -> _Part:
    """Find out which resource an entry will write, before anything is written."""
    ask = part.ask
    kind = ask.path[0] if ask.path else ""
    condition: str | Pairs | None = None
    if ask.method == "POST" and len(ask.path) == 1:
        condition = ask.headers.get("if-none-exist")
    elif ask.method == "PUT" and len(ask.path) == 1:
        condition = ask.query
    elif len(ask.path) == 2:  # noqa: PLR2004  Type/id
        return replace(part, identity="/".join(ask.path))
    else:
        return part
    existing = None if condition is None else interactions.only_match(kind, condition, ask.base)
    given = draft_of(ask.body, interactions.store.definitions).id if ask.method == "PUT" else ""
    ident = existing.id if existing else given or interactions.store.new_id()
    return replace(part, identity=f"{kind}/{ident}", existing=existing)


def _refuse_twice(parts: list[_Part]) -> None:
    changed = Counter(
        p.identity for p in parts if p.identity and p.ask.method not in {"GET", "HEAD"}
    )
    created = {p.identity for p in parts if p.ask.method == "POST" and p.existing}
    twice = [
        identity for identity, times in changed.items() if times > 1 and identity not in created
    ]
    if twice:
        raise invalid(f"the transaction changes {twice[0]} more than once")


def _linked(interactions: "Interactions", part: _Part, places: Mapping[str, str]) -> _Part:
    """Rewrite the references of an entry: to other entries, and those given as a search."""
    if part.ask.method not in {"POST", "PUT"}:
        return part

    def replaced(reference: str) -> str:
        if reference in places:
            return places[reference]
        kind, question, _ = reference.partition("?")
        if not question or kind not in interactions.store.definitions.resource_types:
            return reference
        found = interactions.only_match(kind, reference, part.ask.base)
        if found is None:
            raise FhirError(404, "not-found", f"no {kind} matches the conditional reference")
        return found.local

    draft_of(part.ask.body, interactions.store.definitions)
    return replace(part, ask=replace(part.ask, body=with_references(part.ask.body, replaced)))


def _execute(interactions: "Interactions", part: _Part) -> Answer:
    ask, (_, _, ident) = part.ask, part.identity.partition("/")
    if ask.method == "POST" and len(ask.path) == 1:
        return interactions.create_as(ask, ident, part.existing)
    if ask.method == "PUT" and len(ask.path) == 1:
        return interactions.update_as(ask, ident)
    return interactions.answer_or_fail(ask)
