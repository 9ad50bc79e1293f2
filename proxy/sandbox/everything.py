"""`Patient/[id]/$everything` and the patient compartment (https://hl7.org/fhir/R4/patient-operation-everything.html)."""

from collections.abc import Collection

from proxy.sandbox.index import Index
from proxy.sandbox.model import Key, Version
from proxy.sandbox.values import Link


def in_compartment(index: Index, ident: str, kind: str, owner: str = "Patient") -> set[str]:
    """Give the ids of a type that belong to the compartment of a patient, or of another owner; it belongs to its own."""
    tables = index.store.definitions
    names = tables.compartments[owner].get(kind, ())
    params = [tables.search_params[kind][name] for name in names]
    found = {one for param in params for one in index.of(kind, param).ids([f"{owner}/{ident}"])}
    return found | ({ident} if kind == owner else set())


def everything(index: Index, patient: Version, types: Collection[str] = ()) -> list[Version]:
    """List the patient, the compartment, and what these refer to outside of any patient's compartment.

    `types` limits the compartment, if there are any; what its members refer to comes along all the same.
    """
    store = index.store
    found: dict[Key, Version] = {patient.key: patient}
    kinds = set(store.types()) & set(store.definitions.compartment_patient)
    for kind in sorted(kinds & set(types) if types else kinds):
        for ident in sorted(in_compartment(index, patient.id, kind)):
            version = store.everything(kind)[ident]
            found.setdefault(version.key, version)
    for member in list(found.values()):
        for version in _supporting(index, member):
            found.setdefault(version.key, version)
    return list(found.values())


def _supporting(index: Index, member: Version) -> list[Version]:
    compartment = index.store.definitions.compartment_patient
    links = [
        link
        for param in index.reference_params(member.type)
        for link in index.of(member.type, param).values.get(member.id, ())
        if isinstance(link, Link) and link.local
    ]
    pairs = (link.local.split("/") for link in links)
    versions = (
        index.store.current(kind, ident) for kind, ident in pairs if kind not in compartment
    )
    return [version for version in versions if version is not None]
