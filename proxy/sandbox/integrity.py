"""Referential integrity as HAPI FHIR keeps it unless told otherwise: no dangling reference, no orphaning delete.

The embedded server keeps it only when asked to, because sample records rarely bring along all they refer to.
"""

import msgspec

from proxy.sandbox.body import references_in
from proxy.sandbox.model import FhirError, Version
from proxy.sandbox.store import Store
from proxy.sandbox.values import is_absolute, local_of


def require_targets(store: Store, written: Version) -> None:
    """Refuse with FhirError 400 a resource that refers to what is not there."""
    types = store.definitions.resource_types
    for reference in references_in(written.body or b""):
        kind, _, ident = local_of(reference).partition("/")
        if kind in types and not is_absolute(reference) and store.current(kind, ident) is None:
            raise FhirError(
                400, "not-found", f"resource {kind}/{ident} is referred to, but not there"
            )


def require_unreferenced(store: Store, kind: str, ident: str) -> None:
    """Refuse with FhirError 409 to delete what others refer to."""
    local = f"{kind}/{ident}"
    # A look at all bytes is enough for a server of this size, and needs no table of references.
    needle = b'"reference":' + msgspec.json.encode(local)
    for other in store.types():
        for version in store.everything(other).values():
            if version.key != (kind, ident) and needle in (version.body or b""):
                raise FhirError(409, "conflict", f"{version.local} refers to {local}")
