"""Equal cost: what is hidden and what is absent take the same look-ups, whatever is kept of facts (threat T-227; decisions §8).

What can be looked up by the request alone is looked up first, whether anything is there or not: the facts of the patients that it
names, the documents that hold a Binary. What depends on the resource itself is made up for by decoys, once it is refused.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.decision.case import is_universal
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.openness import PATIENT, named_patients
from proxy.errors import CallerError, Refusal
from proxy.facts.lookup import CHUNK, counted

Given = TypeVar("Given")


async def at_equal_cost(perform: Callable[[Hearing], Awaitable[Given]], hearing: Hearing) -> Given:
    """Performs an interaction; an instance that is refused as absent costs what a hidden one costs."""
    request, house = hearing.request, hearing.house
    with counted() as asked:
        await _look_up_named(hearing)
        try:
            return await perform(hearing)
        except CallerError as error:
            if error.refusal is Refusal.NOT_FOUND and request.id:
                universal = is_universal(hearing.case, request.type)
                await house.decoys.ask(request.type, house.new_id(), asked, universal=universal)
            raise


async def _look_up_named(hearing: Hearing) -> None:
    """Looks up what the request itself names. More patients than one search asks for are left to what is found of them."""
    request, house = hearing.request, hearing.house
    if request.type == "Binary" and request.id:
        hearing.holding |= await house.documents.holding({f"Binary/{request.id}"})
        return
    if request.id and request.type != PATIENT:
        return
    missing = named_patients(request, house.definitions) - hearing.facts.keys()
    if missing and len(missing) <= CHUNK:
        hearing.facts |= await house.facts.patients(missing, hearing.record.find)
