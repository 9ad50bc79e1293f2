"""Lint of Consents: what becomes of each when the gateway reads it (Google Consent API statuses; peers E5).

ENFORCEABLE: it is followed as it stands. INACTIVE: it says nothing now. UNSUPPORTED: it cannot be computed, so its
patient's data are denied under it. LIMIT: it is followed, more strictly than its author may think. The Consents are read
as for decisions: with the gateway's own rights, all pages, and what they name is looked up.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from proxy.errors import UpstreamError
from proxy.facts.directive import directive_of, status_of, unidentified
from proxy.facts.elements import Json
from proxy.facts.gather import BREATH, MAX_CONSENTS
from proxy.facts.lookup import CHUNK, Budget, FhirReader
from proxy.facts.model import ConsentDirective
from proxy.facts.relationship import Reading
from proxy.facts.resolve import Resolved, named_by, resolved


@dataclass(frozen=True, slots=True)
class Linted:
    """One Consent: its status and why. `patient` is empty where it cannot be told."""

    consent: str
    patient: str
    status: str
    why: str


async def lint_consents(
    reader: FhirReader, reading: Reading, fhir_version: str, now: float, patient: str = ""
) -> list[Linted]:
    """Lint every Consent on the server, or those of one patient (`Patient/x`); `UpstreamError` if not all can be read."""
    parameters = (("patient", patient),) if patient else ()
    consents = await reader.search("Consent", parameters)
    directives: list[ConsentDirective] = []
    for number, consent in enumerate(consents, 1):
        directives.append(directive_of(_tree(consent), fhir_version, reading.zone, reading.bases))
        if number % BREATH == 0:
            await asyncio.sleep(0)
    # Upstream's word is checked: another patient's Consent is none of this patient's.
    kept = [one for one in directives if not patient or one.patient in ("", patient)]
    answer = await _resolved(reader, reading, kept, now)
    crowded = _crowded(kept, now)
    return sorted(
        (_linted(one, resolved(one, answer), now, crowded) for one in kept),
        key=lambda one: (one.patient, one.consent),
    )


def _tree(consent: bytes) -> Json:
    try:
        tree = orjson.loads(consent)
    except orjson.JSONDecodeError:
        tree = None
    if not isinstance(tree, dict) or tree.get("resourceType") != "Consent":
        raise UpstreamError("the search for Consents brought something else")
    return tree


async def _resolved(
    reader: FhirReader, reading: Reading, directives: list[ConsentDirective], now: float
) -> Resolved:
    """What the Consents name, looked up; there is no caller here whose patience would bound it."""
    asked = named_by(directives)
    chunks = sum(-(-len(ids) // CHUNK) for ids in asked.values())
    budget = Budget(reader, chunks)
    answers = {kind: (ids, await budget.by_id(kind, ids)) for kind, ids in sorted(asked.items())}
    return Resolved.of(answers, reading, now)


def _crowded(directives: Iterable[ConsentDirective], now: float) -> frozenset[str]:
    """Patients with more active Consents than are read for a decision: all of them count as unknown."""
    active = Counter(one.patient for one in directives if one.acts(now))
    return frozenset(patient for patient, count in active.items() if count > MAX_CONSENTS)


def _linted(
    directive: ConsentDirective,
    known: ConsentDirective | None,
    now: float,
    crowded: frozenset[str],
) -> Linted:
    status, why = _status(directive, known, now, crowded)
    return Linted(directive.reference, directive.patient, status, why)


def _status(
    directive: ConsentDirective,
    known: ConsentDirective | None,
    now: float,
    crowded: frozenset[str],
) -> tuple[str, str]:
    status = status_of(known or directive, now)
    if status == "INACTIVE":
        return status, directive.inert or "now is outside its period"
    if status == "UNSUPPORTED":
        return status, f"{directive.problem}; the patient's data are denied under it"
    if directive.patient in crowded:
        return (
            "LIMIT",
            f"the patient has more than {MAX_CONSENTS} active Consents: all are unknown, and deny",
        )
    if known is None:
        return "LIMIT", "what it names could not be looked up: until then it is unknown, and denies"
    return status, "; ".join(_limits(known))


def _limits(directive: ConsentDirective) -> Iterator[str]:
    """Actors that nobody can identify."""
    for node in directive.root.nodes():
        for actor in node.actors:
            if unidentified(actor):
                name = actor.reference or "an actor"
                effect = f"its {node.effect.value}"
                meant = "is for everyone" if node.effect.value == "deny" else "is for nobody"
                yield f"{node.path}: {name} cannot be identified, so {effect} {meant}"
