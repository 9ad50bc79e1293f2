"""Loading of sample resources into a store: transaction and other Bundles, and single resources."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from proxy.sandbox.body import Draft, draft_of
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import Ask, FhirError, invalid
from proxy.sandbox.store import Store

_ENTRIES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_EXECUTED = (b'"transaction"', b'"batch"')


def load_samples(store: Store, sources: Iterable[Path | bytes]) -> int:
    """Load files, the `*.json` of directories, or bytes, all or nothing, and give the number of resources.

    Transaction and batch Bundles are executed; the entries of other Bundles and single resources are stored under
    their own ids. FhirError says which file cannot be loaded, OSError that it cannot be read.
    """
    before = len(store.history())
    interactions = Interactions(store)
    with store.atomic():
        for name, body in _bodies(sources):
            try:
                _load(interactions, draft_of(body, store.definitions), body)
            except FhirError as error:
                text = f"{name} cannot be loaded: {error.diagnostics}"
                raise FhirError(error.status, error.code, text) from error
    return len(store.history()) - before


def _bodies(sources: Iterable[Path | bytes]) -> Iterator[tuple[str, bytes]]:
    for source in sources:
        if isinstance(source, bytes):
            yield "a resource", source
        else:
            files = sorted(source.glob("*.json")) if source.is_dir() else [source]
            for file in files:
                yield str(file), file.read_bytes()


def _load(interactions: Interactions, draft: Draft, body: bytes) -> None:
    if draft.type != "Bundle":
        _keep(interactions.store, draft)
    elif bytes(draft.fields.get("type", b"")) in _EXECUTED:
        headers = {"content-type": "application/fhir+json"}
        interactions.answer_or_fail(Ask("POST", (), (), headers, body))
    else:
        for entry in _ENTRIES.decode(draft.fields.get("entry", msgspec.Raw(b"[]"))):
            if "resource" in entry:
                _keep(
                    interactions.store,
                    draft_of(bytes(entry["resource"]), interactions.store.definitions),
                )


def _keep(store: Store, draft: Draft) -> None:
    if not draft.id:
        raise invalid(f"a sample {draft.type} needs an id")
    store.update(draft, draft.id)
