"""FHIR RESTful interactions of the embedded server: a request becomes an answer (https://hl7.org/fhir/R4/http.html).

The table `_ROUTES` names method and shape of the path; everything behind it is plain functions of a store.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qsl, urlencode

from proxy.sandbox import answers, bundle, everything, integrity, transaction
from proxy.sandbox.body import Draft, draft_of, is_id
from proxy.sandbox.capability import capability
from proxy.sandbox.dates import interval_of
from proxy.sandbox.export import Exports
from proxy.sandbox.include import included
from proxy.sandbox.index import Index
from proxy.sandbox.model import Answer, Ask, FhirError, Pairs, Version, failed, invalid
from proxy.sandbox.paging import Pages, Snapshot
from proxy.sandbox.patch import patched
from proxy.sandbox.query import DEFAULT_COUNT, MAX_COUNT, Query
from proxy.sandbox.search import Search
from proxy.sandbox.store import Store

_LITERALS = {"metadata", "_history", "_search", "$everything"}
_SUBSETS = {"_elements", "_summary"}
OK = 200
_PLACES = ("T", "id", "C", "vid")


class Interactions:
    """What the server can do, over one store; `strict` keeps referential integrity."""

    def __init__(self, store: Store, *, strict: bool = False) -> None:
        self.store = store
        self.strict = strict
        self.index = Index(store)
        self.search = Search(self.index)
        self.pages = Pages()
        self.exports = Exports(self.index)

    def answer(self, ask: Ask) -> Answer:
        """Answer one request; every failure becomes an OperationOutcome."""
        try:
            return self.answer_or_fail(ask) if ask.method == "GET" else self._changed(ask)
        except FhirError as failure:
            return failed(failure)

    def _changed(self, ask: Ask) -> Answer:
        with self.store.atomic():
            answer = self.answer_or_fail(ask)
            self.keep_integrity(ask, answer)
        return answer

    def keep_integrity(self, ask: Ask, answer: Answer) -> None:
        """Refuse what breaks referential integrity; a transaction asks when all is written."""
        version = answer.version
        if not self.strict or ask.method == "GET" or version is None:
            return
        if version.body is None:
            integrity.require_unreferenced(self.store, version.type, version.id)
        else:
            integrity.require_targets(self.store, version)

    def answer_or_fail(self, ask: Ask) -> Answer:
        """Answer one request, or raise FhirError."""
        exported = self.exports.answer(ask)
        if exported is not None:
            return exported
        shape = self._shape(ask.path)
        route = _ROUTES.get((ask.method, shape))
        if route is not None:
            return route(self, ask)
        if any(known == shape for _, known in _ROUTES):
            raise FhirError(405, "not-supported", f"{ask.method} is not possible here")
        raise invalid("the server does not know how to answer this request")

    def _shape(self, path: tuple[str, ...]) -> str:
        """Give the shape of a path, `T/id/_history/vid`; FhirError 404 for an unknown type."""
        names = [s if s in _LITERALS else p for s, p in zip(path, _PLACES, strict=False)]
        types = self.store.definitions.resource_types
        if path and path[0].startswith("$"):
            raise invalid(f"unknown operation `{path[0]}`")
        if names[:1] == ["T"] and path[0] not in types:
            raise FhirError(404, "not-supported", f"unknown resource type `{path[0]}`")
        if names[2:3] == ["C"] and path[2] not in types:
            raise invalid(f"unknown operation or compartment `{path[2]}`")
        return "/".join([*names, *path[len(_PLACES) :]])

    # Reading

    def read(self, ask: Ask) -> Answer:
        """Answer read, in whole or as the subset that `_elements` or `_summary` ask for."""
        found = answers.content(ask, self.store.read(ask.path[0], ask.path[1]))
        if not ask.query or found.version is None or found.status != OK:
            return found
        asked = tuple(pair for pair in ask.query if pair[0] in _SUBSETS)
        query = self.search.query(ask.path[0], asked, ask.base)
        return replace(found, body=bundle.shown(found.version, query, self.store.definitions))

    def vread(self, ask: Ask) -> Answer:
        """Answer vread."""
        return answers.content(ask, self.store.vread(ask.path[0], ask.path[1], ask.path[3]))

    def capabilities(self, ask: Ask) -> Answer:
        """Answer capabilities."""
        return Answer(200, capability(self.store.definitions.fhir_version, ask.base))

    def history(self, ask: Ask) -> Answer:
        """Answer history of an instance, a type or the system."""
        kind, ident = (*ask.path, "_history", "_history")[:2]
        found = self.store.history(
            None if kind == "_history" else kind, None if ident == "_history" else ident
        )
        query = dict(ask.query)
        count = query.get("_count", str(DEFAULT_COUNT))
        if not count.isdecimal():
            raise invalid("_count must be a whole number")
        since = interval_of(query["_since"]) if "_since" in query else (0.0, 0.0)
        if since is None:
            raise invalid("_since must be an instant")
        kept = tuple(v for v in found if _instant(v) >= since[0])
        snapshot = Snapshot(
            "history", kept, _history_entries, max(1, min(int(count), MAX_COUNT)), len(kept)
        )
        return Answer(200, self.pages.first(snapshot, ask.base, _self_url(ask, ask.query)))

    # Searching

    def search_type(self, ask: Ask) -> Answer:
        """Answer search of a type."""
        query = self.search.query(ask.path[0], ask.query, ask.base)
        return self._searchset(ask, query, self.search.find(query), ask.query)

    def search_post(self, ask: Ask) -> Answer:
        """Answer search by POST: parameters of the form and of the URL count alike."""
        if "application/x-www-form-urlencoded" not in ask.headers.get("content-type", ""):
            raise FhirError(415, "not-supported", "a search by POST needs a form")
        form = parse_qsl(ask.body.decode("utf-8", "replace"), keep_blank_values=True)
        path = tuple(segment for segment in ask.path if segment != "_search")
        merged = (*ask.query, *form)
        return self.answer_or_fail(Ask("GET", path, merged, ask.headers, b"", ask.base))

    def search_compartment(self, ask: Ask) -> Answer:
        """Answer search of a type in a compartment."""
        owner, ident, kind = ask.path
        if owner not in self.store.definitions.compartments:
            raise invalid(f"there is no compartment of {owner}")
        members = everything.in_compartment(self.index, ident, kind, owner)
        query = self.search.query(kind, ask.query, ask.base)
        found = [version for version in self.search.find(query) if version.id in members]
        return self._searchset(ask, query, found, ask.query)

    def everything(self, ask: Ask) -> Answer:
        """Answer `$everything` of a patient."""
        if ask.path[0] != "Patient":
            raise invalid(f"$everything is not known for {ask.path[0]}")
        patient = self.store.read(*ask.path[:2])
        rest = tuple(pair for pair in ask.query if pair[0] != "_type")
        types = frozenset(filter(None, dict(ask.query).get("_type", "").split(",")))
        kept = everything.everything(self.index, patient, types)
        return self._searchset(ask, self.search.query("Patient", rest, ask.base), kept, ask.query)

    def page(self, ask: Ask) -> Answer:
        """Answer a next or previous link."""
        if "_getpages" not in dict(ask.query):
            raise invalid("the base URL has no content; ask for a resource type or metadata")
        return Answer(200, self.pages.page(ask))

    def _searchset(self, ask: Ask, query: Query, found: list[Version], pairs: Pairs) -> Answer:
        self_url = _self_url(ask, pairs)
        if query.summary == "count":
            return Answer(200, bundle.bundle("searchset", (), [("self", self_url)], len(found)))

        def entries(base: str, versions: tuple[Version, ...]) -> list[bytes]:
            return self._search_entries(base, versions, query)

        total = None if query.total == "none" else len(found)
        snapshot = Snapshot("searchset", tuple(found), entries, query.count, total)
        return Answer(200, self.pages.first(snapshot, ask.base, self_url))

    def _search_entries(
        self, base: str, versions: tuple[Version, ...], query: Query
    ) -> list[bytes]:
        current = (self.store.current(version.type, version.id) for version in versions)
        matches = [version for version in current if version is not None]
        others = included(self.index, matches, query.includes)
        show, tables, entry = bundle.shown, self.store.definitions, bundle.search_entry
        return [entry(base, v, "match", show(v, query, tables)) for v in matches] + [
            entry(base, v, "include", show(v, query, tables)) for v in others
        ]

    # Writing

    def create(self, ask: Ask) -> Answer:
        """Answer create, conditional with If-None-Exist."""
        draft = self._draft(ask)
        condition = ask.headers.get("if-none-exist")
        if condition is not None:
            found = self.only_match(draft.type, condition, ask.base)
            return self.create_as(ask, self.store.new_id(), found)
        return answers.written(ask, 201, self.store.create(draft))

    def create_as(self, ask: Ask, ident: str, existing: Version | None) -> Answer:
        """Answer create with an id that was given before, or with the resource that exists already."""
        if existing is not None:
            return answers.written(ask, 200, existing)
        return answers.written(ask, 201, self.store.create(self._draft(ask), ident))

    def update_as(self, ask: Ask, ident: str) -> Answer:
        """Answer update of the resource that a condition stood for, or create it."""
        draft = self._draft(ask)
        if draft.id not in {"", ident}:
            raise invalid("the body has another id than the match")
        before = self.store.current(draft.type, ident)
        answers.require_match(ask, before)
        return answers.written(ask, 201 if before is None else 200, self.store.update(draft, ident))

    def update(self, ask: Ask) -> Answer:
        """Answer update, and create with a client's id."""
        ident = ask.path[1]
        if not is_id(ident):
            raise invalid(f"`{ident}` is no legal id")
        if self._draft(ask).id != ident:
            raise invalid("the body must have the same id as the URL")
        return self.update_as(ask, ident)

    def update_conditional(self, ask: Ask) -> Answer:
        """Answer update by search parameters: no match creates, one is updated, more are refused."""
        draft = self._draft(ask)
        found = self.only_match(draft.type, ask.query, ask.base)
        ident = found.id if found else draft.id or self.store.new_id()
        return self.update_as(ask, ident)

    def patch(self, ask: Ask) -> Answer:
        """Answer patch with a JSON Patch document."""
        if "application/json-patch+json" not in ask.headers.get("content-type", ""):
            raise FhirError(415, "not-supported", "only application/json-patch+json is understood")
        before = self.store.read(ask.path[0], ask.path[1])
        answers.require_match(ask, before)
        draft = draft_of(patched(before.body or b"", ask.body), self.store.definitions)
        if (draft.type, draft.id) != before.key:
            raise invalid("a patch cannot change resourceType or id")
        return answers.written(ask, 200, self.store.update(draft, before.id, "PATCH"))

    def delete(self, ask: Ask) -> Answer:
        """Answer delete; deleting what is not there is no error."""
        return answers.deleted(self.store.delete(ask.path[0], ask.path[1]))

    def delete_conditional(self, ask: Ask) -> Answer:
        """Answer delete by search parameters; more than one match is refused."""
        if not ask.query:
            raise invalid("a conditional delete needs search parameters")
        found = self.only_match(ask.path[0], ask.query, ask.base)
        gone = None if found is None else self.store.delete(found.type, found.id)
        return answers.deleted(gone)

    def only_match(self, kind: str, condition: str | Pairs, base: str) -> Version | None:
        """Give the only match of a condition, None if there is none; FhirError 412 if there are more."""
        pairs = condition
        if isinstance(pairs, str):
            pairs = tuple(parse_qsl(pairs.partition("?")[2] or pairs, keep_blank_values=True))
        if not pairs:
            raise invalid("a conditional interaction needs search parameters")
        found = self.search.find(self.search.query(kind, pairs, base))
        if len(found) > 1:
            raise FhirError(412, "multiple-matches", f"{len(found)} resources match the condition")
        return found[0] if found else None

    def _draft(self, ask: Ask) -> Draft:
        content = ask.headers.get("content-type", "json")
        if "json" not in content:
            raise FhirError(415, "not-supported", "only application/fhir+json is understood")
        draft = draft_of(ask.body, self.store.definitions)
        if draft.type != ask.path[0]:
            raise invalid(f"the body is a {draft.type}, the URL says {ask.path[0]}")
        return draft


def _self_url(ask: Ask, pairs: Pairs) -> str:
    url = "/".join((ask.base, *ask.path))
    return f"{url}?{urlencode(pairs, safe=':/|,$')}" if pairs else url


def _instant(version: Version) -> float:
    return datetime.fromisoformat(version.updated).timestamp()


def _history_entries(base: str, versions: tuple[Version, ...]) -> list[bytes]:
    return [bundle.history_entry(base, version) for version in versions]


_ROUTES: dict[tuple[str, str], Callable[[Interactions, Ask], Answer]] = {
    ("GET", ""): Interactions.page,
    ("POST", ""): transaction.run,
    ("GET", "metadata"): Interactions.capabilities,
    ("GET", "_history"): Interactions.history,
    ("GET", "T"): Interactions.search_type,
    ("POST", "T"): Interactions.create,
    ("PUT", "T"): Interactions.update_conditional,
    ("DELETE", "T"): Interactions.delete_conditional,
    ("POST", "T/_search"): Interactions.search_post,
    ("GET", "T/_history"): Interactions.history,
    ("GET", "T/id"): Interactions.read,
    ("PUT", "T/id"): Interactions.update,
    ("PATCH", "T/id"): Interactions.patch,
    ("DELETE", "T/id"): Interactions.delete,
    ("GET", "T/id/_history"): Interactions.history,
    ("GET", "T/id/_history/vid"): Interactions.vread,
    ("GET", "T/id/$everything"): Interactions.everything,
    ("GET", "T/id/C"): Interactions.search_compartment,
    ("POST", "T/id/C/_search"): Interactions.search_post,
}
