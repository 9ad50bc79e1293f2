"""Patient-level refusal (decisions §8): with `refusal: tell`, whoever names a patient whose record is shut is told so.

A record is open to a caller whom a read of the Patient resource itself would be permitted, judged like any read. One
constant 403 answers a shut record, one about which something is unknown, and a patient who does not exist; the same is
looked up for all of them. Inside an open record resources stay hidden one by one.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator

from proxy.decision.decide import decide_request
from proxy.enforcement.hearing import Hearing
from proxy.errors import CallerError, Refusal
from proxy.fhir.chains import searches_of
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest

PATIENT = "Patient"
OPEN, SHUT, ABSENT, UNKNOWN = "open", "shut", "absent", "unknown"
"""What is found of a record; the last three answer alike."""


async def require_open(hearing: Hearing) -> None:
    """Refuses a request that names a patient whose record is not open to the caller, where the policy tells."""
    if hearing.case.compiled.policies.refusal != "tell":
        return
    named = named_patients(hearing.request, hearing.house.definitions)
    reading = hearing.as_read()
    # Who reads no Patient at all has no open record; whether there is one is then nothing that could be told.
    if not named or not decide_request(reading.case, PATIENT).permits:
        return
    found = Counter(await _states(reading, sorted(named)))
    if found[OPEN] < len(named):
        counts = ", ".join(f"{found[state]} {state}" for state in (SHUT, ABSENT, UNKNOWN))
        raise CallerError(Refusal.PATIENT_REFUSED, f"of the records that are named: {counts}")


def named_patients(request: FhirRequest, definitions: Definitions) -> frozenset[str]:
    """The patients (`Patient/x`) that a request names: in its path, in `_id` of Patient, in any reference that it or a chain searches by."""
    if request.type == PATIENT and request.id:
        return frozenset({f"{PATIENT}/{request.id}"})
    owner = frozenset({one} if (one := request.compartment).startswith(f"{PATIENT}/") else ())
    searches = searches_of(request)
    return owner.union(one for search in searches for one in _searched(search, definitions))


def _searched(request: FhirRequest, definitions: Definitions) -> Iterator[str]:
    known = definitions.search_params.get(request.type, {})
    for parameter in request.parameters:
        if parameter.modifier:
            continue
        if request.type == PATIENT and parameter.name == "_id":
            yield from (f"{PATIENT}/{one}" for one in parameter.values)
        elif parameter.name in known and known[parameter.name].kind == "reference":
            yield from (one for one in parameter.values if one.startswith(f"{PATIENT}/"))


async def _states(reading: Hearing, named: list[str]) -> list[str]:
    """What is found of each record. Facts are looked up for all, so that who is absent costs what who is hidden costs."""
    facts, find = reading.house.facts, reading.record.find
    known, people = await asyncio.gather(facts.patients(named, find), facts.people(named, find))
    reading.facts.update(known)
    judged = await reading.judge([body for body in people.values() if body])
    states = {name: UNKNOWN if body is None else ABSENT for name, body in people.items()}
    for one in judged:
        if one.envelope is not None and one.envelope.reference in states:
            states[one.envelope.reference] = OPEN if one.permitted else SHUT
        if not one.permitted:
            reading.withhold(one)
    return list(states.values())
