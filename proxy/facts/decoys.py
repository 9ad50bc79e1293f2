"""Decoys: look-ups about nobody, so that what is absent costs upstream what is hidden costs (threat T-227; decisions §8).

A resource that is hidden was read, and then it was looked up whose it is and what that patient allows. Of one that is absent nothing
can be looked up; so as much is asked about a patient and about documents that do not exist. What a request has looked up itself is
taken off: a refusal costs the same whether facts were kept or not.

Laws: (1) nothing that a decoy brings is read; (2) a decoy that fails changes nothing; (3) what is asked depends on the type in the
request and on how many look-ups it made, never on an answer.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from proxy.errors import ProxyError
from proxy.facts.lookup import FhirReader, Parameters
from proxy.fhir.compartment import SOURCES

Search: TypeAlias = tuple[str, Parameters]
Phase: TypeAlias = tuple[Search, ...]
"""Searches that are asked at once."""

NAMED = ("CareTeam", "Group", "Organization", "Practitioner")
"""Types of those whom Consents name and who are then looked up; a Consent that names another costs one look-up more."""
_DOCUMENT = "DocumentReference"
_DOCUMENTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(SOURCES, (_DOCUMENT,)),
    "Binary": (_DOCUMENT, _DOCUMENT),
    "Composition": ("Composition",),
}
"""Type → look-ups of documents, one after the other: what it is usually made from; of a Binary first those that hold it."""


class DecoySource(Protocol):
    """Port: makes up for the look-ups that a refusal did not need."""

    async def ask(
        self, rtype: str, nobody: str, asked: Mapping[str, int], *, universal: bool
    ) -> None:
        """Looks up what a hidden resource of a type costs, less what was `asked`, by resource type.

        `nobody`: an id that no resource has. `universal`: the type is about no patient.
        """
        ...


class _NoDecoys:
    """Makes up for nothing."""

    async def ask(
        self, rtype: str, nobody: str, asked: Mapping[str, int], *, universal: bool
    ) -> None:
        """Nothing is asked."""
        del rtype, nobody, asked, universal


NO_DECOYS = _NoDecoys()


@dataclass(frozen=True, slots=True)
class Decoys:
    """Asks with the gateway's own rights. `searches`: those that the facts about a patient take."""

    reader: FhirReader
    searches: Callable[[str], Iterable[Search]]

    async def ask(
        self, rtype: str, nobody: str, asked: Mapping[str, int], *, universal: bool
    ) -> None:
        """Phase by phase, as the look-ups about what is hidden go."""
        made = Counter(asked)
        for phase in self._course(rtype, nobody, universal=universal):
            await asyncio.gather(*(self._search(*one) for one in _left(phase, made)))

    def _course(self, rtype: str, nobody: str, *, universal: bool) -> Iterator[Phase]:
        """What a hidden resource of a type costs: the documents it was made from, its patient's facts, whom Consents name."""
        by_id = (("_id", nobody),)
        yield from (((kind, by_id),) for kind in _DOCUMENTS.get(rtype, ()))
        if not universal:
            yield tuple(self.searches(f"Patient/{nobody}"))
            yield tuple((kind, by_id) for kind in NAMED)

    async def _search(self, resource_type: str, parameters: Parameters) -> None:
        try:
            await self.reader.search(resource_type, parameters)
        except ProxyError:
            return


def _left(phase: Phase, made: Counter[str]) -> list[Search]:
    """The searches of a phase that were not made; what was made is taken off `made`."""
    left = []
    for one in phase:
        if made[one[0]] > 0:
            made[one[0]] -= 1
        else:
            left.append(one)
    return left
