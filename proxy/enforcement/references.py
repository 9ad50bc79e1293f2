"""References in what leaves: which of them lead somewhere for the caller (threats T-70, T-83; decisions §7).

A reference leads somewhere when a read of its target would be permitted to the caller, judged like any read. Whether the target
is hidden, about somebody else, or does not exist makes no difference, in the answer and in what is asked of upstream.
Targets are looked up by type, many at a time, and kept; where look-ups run out the rest is pruned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import orjson

from proxy.decision.case import is_universal
from proxy.decision.decide import decide_request
from proxy.enforcement.findings import report
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.house import nobody
from proxy.facts.lookup import CHUNK
from proxy.fhir.compartment import ABOUT
from proxy.fhir.content import may_hide
from proxy.fhir.envelope import UNTOLD, Envelope, Resource
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.parameters import targets_of
from proxy.fhir.pointers import attachments_in, may_be_at, pointed_at, references_in
from proxy.obligations.disclose import ILLEGIBLE, Judged, less_astray
from proxy.obligations.includes import references_of, refers
from proxy.obligations.letter import may_be_deep
from proxy.obligations.subset import opens

_NONE: frozenset[str] = frozenset()
_PATIENT = "Patient/"
_BINARY = "Binary/"
_ADDRESSES = ("content.attachment.url",)
_OF_FACTS = 4
"""Look-ups that the facts of as many patients as one search asks for usually take."""
_OF_CALLER = 2
_FEWEST = 2
"""Look-ups that are left for references, however many patients a page is about."""


async def settled(hearing: Hearing, leaving: Sequence[Judged]) -> list[Judged]:
    """What may leave, each with the references in it that lead nowhere for the caller.

    One from which they would have to be taken out and which does not open is not permitted any more.
    """
    if hearing.case.compiled.policies.references == "keep":
        return [Judged(one.raw, one.envelope, one.decision, _NONE) for one in leaving]
    led = _led(hearing, leaving)
    near = frozenset().union(*(one.patients or _NONE for one in _envelopes(leaving)))
    far = frozenset(target for target in led.values() if target and target not in near)
    asked = frozenset(one for one in far if not is_universal(hearing.case, _type_of(one)))
    if not asked:
        return [Judged(one.raw, one.envelope, one.decision, _NONE) for one in leaving]
    paths = _Paths(led, far - asked | near, await _visible(hearing, leaving, asked - {UNTOLD}))
    told = [_settled(one, paths) for one in leaving]
    report(
        (one for one in told if one.decision is ILLEGIBLE and not _inside(one)), hearing.record.find
    )
    return told


async def judged_whole(
    hearing: Hearing,
    resources: Sequence[Resource],
    *,
    whole: bytes | None = None,
    over: Mapping[str, Envelope] = MappingProxyType({}),
) -> list[Judged]:
    """As `Hearing.judge`, where it depends on a resource whether others show: what would be withheld for a reference in it is denied."""
    judged = await hearing.judge(resources, whole=whole, over=over)
    looked = [one for one in judged if one.permitted and is_delicate(one)]
    known = iter(await settled(hearing, looked) if looked else ())
    ours = {id(one) for one in looked}
    return [next(known) if id(one) in ours else one for one in judged]


class _Paths(NamedTuple):
    """Where references lead: each text's target; the targets that are open to everyone here; those that the caller may read.

    `read` gives the patients that each of them is about.
    """

    led: Mapping[str, str | None]
    open: frozenset[str]
    read: Mapping[str, frozenset[str]]

    def astray(self, text: str, about: frozenset[str]) -> bool:
        """Whether a reference in a resource about these patients leads nowhere for the caller."""
        target = self.led.get(text)
        if target is None or target in self.open:
            return False
        return not self.read.get(target, frozenset({UNTOLD})) <= about


def _led(hearing: Hearing, leaving: Sequence[Judged]) -> dict[str, str | None]:
    """Every literal reference in what leaves, every address of an attachment that may be ours, and what it names."""
    bodies = [bytes(one.raw) for one in leaving]
    joined = b"\n".join(bodies)
    bases = (hearing.house.public_url, hearing.house.upstream_url)

    @cache
    def led(text: str) -> str | None:
        return pointed_at(text, hearing.reader.normal, bases)

    parts = bodies if may_hide(joined) else [joined]
    texts = _NONE.union(*map(references_in, parts))
    if hearing.case.compiled.policies.references == "prune" and may_be_at(joined, led):
        texts = texts.union(*(attachments_in(body, led) for body in bodies))
    return {text: led(text) for text in texts}


def _texts_of(raw: bytes, led: Mapping[str, str | None]) -> frozenset[str]:
    """What is written in one resource of all that may lead anywhere."""
    return references_in(raw) | attachments_in(raw, led.get)


def _settled(one: Judged, paths: _Paths) -> Judged:
    about = (one.envelope.patients if one.envelope else None) or _NONE
    texts = _texts_of(bytes(one.raw), paths.led) if one.envelope else _NONE
    named = {target for text in texts if (target := paths.led.get(text)) in paths.read and target}
    about = about.union(*(paths.read[name] for name in named if name.startswith(_PATIENT)))
    inside = _inside(one)
    held = frozenset(_held(inside))
    astray = frozenset(
        text for text in texts if paths.astray(text, about) and paths.led.get(text) not in held
    )
    # What holds others leaves whole or not at all (T-68).
    if astray and (inside or not opens(one.raw)):
        return Judged(one.raw, one.envelope, ILLEGIBLE, _NONE)
    return Judged(one.raw, one.envelope, one.decision, astray)


async def _visible(
    hearing: Hearing, leaving: Sequence[Judged], asked: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    """The targets that a read would give the caller, each with the patients it is about."""
    reading = hearing.as_read()
    asked = frozenset(one for one in asked if _is_read(reading, _type_of(one)))
    known = frozenset().union(*(one.patients or _NONE for one in _envelopes(leaving)))
    facts = {patient: hearing.facts[patient] for patient in known if patient in hearing.facts}
    left = _left(hearing, len(known))
    others = frozenset(one for one in asked if one.startswith(_PATIENT))
    if len(others) > CHUNK or (others and left <= _OF_FACTS):
        asked, others = asked - others, _NONE
    if others:
        left -= _OF_FACTS
        # for who is not there too, so that it costs what who is hidden costs
        facts |= await hearing.house.facts.patients(others, hearing.record.find)
    house = replace(hearing.house, witness=nobody)
    binaries = frozenset(one for one in asked if one.startswith(_BINARY))
    # for one that is not there too
    holding = await house.documents.kept_holding(binaries) if binaries else {}
    reading = replace(reading, facts=facts, house=house, holding=dict(holding))
    bodies = await _bodies(hearing, leaving, asked, left)
    return await _read(reading, list(bodies.values()))


def _left(hearing: Hearing, patients: int) -> int:
    """The look-ups that those of facts leave for references."""
    spent = _OF_CALLER + _OF_FACTS * -(-patients // CHUNK)
    return max(_FEWEST, hearing.house.max_lookups - spent)


def _is_read(reading: Hearing, rtype: str) -> bool:
    """Whether resources of a type may be read by the caller at all."""
    known = rtype in reading.house.definitions.resource_types
    return known and decide_request(reading.case, rtype, granted=bool(reading.grants)).permits


async def _bodies(
    hearing: Hearing, leaving: Sequence[Judged], asked: frozenset[str], left: int
) -> Mapping[str, Resource]:
    """The targets: those that stand in the same answer as they are now, and those that upstream has."""
    here: dict[str, Resource] = {}
    if hearing.request.judged_as is Interaction.SEARCH_TYPE:
        here = {one.reference: raw for one, raw in _with_raw(leaving) if one.reference in asked}
    missing = asked - here.keys()
    if not missing:
        return here
    return {**here, **await hearing.house.targets.bodies(missing, left, hearing.record.find)}


async def _read(reading: Hearing, bodies: list[Resource]) -> Mapping[str, frozenset[str]]:
    """Those that are permitted. Who is about somebody of whom no facts were gathered is not: nothing is asked for that alone."""
    envelopes = reading.reader.read_all(bodies)
    pairs = list(zip(bodies, envelopes, strict=True))
    report([Judged(body, None, None) for body, one in pairs if one is None], reading.record.find)
    told = [body for body, one in pairs if one is not None and _is_known(reading, one)]
    return {
        one.envelope.reference: one.envelope.patients or _NONE
        for one in await reading.judge(told)
        if one.permitted and one.envelope is not None
    }


def is_delicate(one: Judged) -> bool:
    """Whether it would be withheld for a reference in it: what holds others, and what is nested deeper than letters are opened."""
    return one.envelope is not None and (bool(one.envelope.inside) or may_be_deep(bytes(one.raw)))


def _inside(one: Judged) -> tuple[Envelope, ...]:
    return one.envelope.inside if one.envelope else ()


def _held(inside: Iterable[Envelope]) -> Iterator[str]:
    """What stands in a Bundle, at any depth: a reference in it leads there first (FHIR bundle.html#references)."""
    for one in inside:
        yield one.reference
        yield from _held(one.inside)


def _is_known(reading: Hearing, one: Envelope) -> bool:
    """Whether the facts of all whom it is about are there; a Binary is about whom the documents are about that hold it."""
    about: list[Envelope | None] = [one]
    if one.type == "Binary":
        held = reading.holding.get(one.reference, ())
        about = reading.reader.read_all([orjson.dumps(document) for document in held])
    return bool(about) and all(
        each is not None and each.patients is not None and each.patients <= reading.facts.keys()
        for each in about
    )


def _envelopes(judged: Iterable[Judged]) -> Iterable[Envelope]:
    return (one.envelope for one in judged if one.envelope is not None)


def _with_raw(judged: Iterable[Judged]) -> Iterable[tuple[Envelope, Resource]]:
    return ((one.envelope, one.raw) for one in judged if one.envelope is not None)


def _type_of(reference: str) -> str:
    return reference.partition("/")[0]


class Read(NamedTuple):
    """References that a search reads in a resource: where they stand, and which of them it asks for.

    `None`: whether a resource is found, or where, depends on every one that stands there (`_sort`). `missing`: the value of that
    modifier, where it is answered from what the caller sees.
    """

    paths: tuple[str, ...]
    asked: frozenset[str] | None
    missing: str = ""


Ties = Iterable[tuple[tuple[str, ...], frozenset[str]]]
"""What chains came to: element paths, and the references of which one must stand there."""


def searches_references(hearing: Hearing, ties: Ties) -> bool:
    """Whether a search filters, sorts or chains by references."""
    return bool(list(_reads(hearing, ties))) or bool(_reference_paths(hearing, hearing.request.tie))


def found_by_astray(hearing: Hearing, judged: Judged, ties: Ties) -> bool:
    """Whether a search finds this resource by references in it that lead nowhere for the caller.

    That it was found, and where, would tell what the caller does not see in it. It is found by those that the caller does see: they
    stand in it for whoever reads it.
    """
    if not judged.permitted:
        return True
    return any(_is_astray(hearing, judged, read) for read in _reads(hearing, ties))


def _is_astray(hearing: Hearing, judged: Judged, read: Read) -> bool:
    if read.missing:
        there = refers(less_astray(judged), read.paths, judged.astray or _NONE)
        return there is (read.missing == "true")
    if not judged.astray:
        return False
    found = frozenset(references_of(bytes(judged.raw), read.paths, hearing.reader.normal))
    shown = shown_references(hearing, judged, read.paths)
    return found != shown and (read.asked is None or read.asked.isdisjoint(shown))


def shown_references(hearing: Hearing, judged: Judged, paths: tuple[str, ...]) -> frozenset[str]:
    """The references at some paths that stand in what the caller sees, of a resource that is settled; else all of them."""
    return frozenset(references_of(less_astray(judged), paths, hearing.reader.normal))


def _reads(hearing: Hearing, ties: Ties) -> Iterator[Read]:
    request = hearing.request
    for one in request.parameters:
        paths = _reference_paths(hearing, one.name)
        if paths and is_view_asked(hearing, one):
            yield Read(paths, None, one.values[0])
        elif paths:
            yield Read(paths, None if one.modifier else frozenset(one.values))
    for key in request.sort:
        paths = _reference_paths(hearing, key.removeprefix("-"))
        if paths:
            yield Read(paths, None)
    yield from (Read(paths, references) for paths, references in ties if paths)


def is_view_asked(hearing: Hearing, parameter: SearchParameter) -> bool:
    """Whether a filter asks if references stand in a resource that may be pruned: what the caller sees decides that.

    Upstream finds by `:missing=true` no resource from which every reference is taken out (FHIR search.html#missing).
    """
    rtype, definitions = hearing.request.type, hearing.house.definitions
    known = definitions.search_param(rtype, parameter.name)
    if parameter.modifier != "missing" or known is None:
        return False
    if not _reference_paths(hearing, parameter.name):
        return False
    targets = targets_of(rtype, known, definitions)
    prunes = hearing.case.compiled.policies.references != "keep"
    return prunes and not all(is_universal(hearing.case, one) for one in targets)


def less_absences(hearing: Hearing, request: FhirRequest) -> FhirRequest:
    """The search without `:missing=true` of such references: upstream is asked for more, and it is answered here."""
    left = tuple(
        one
        for one in request.parameters
        if one.values != ("true",) or not is_view_asked(hearing, one)
    )
    return replace(request, parameters=left)


def _reference_paths(hearing: Hearing, name: str) -> tuple[str, ...]:
    """What a parameter by references, or by the address of an attachment, reads.

    Nothing of `patient` where it reads whom a resource is about; that of R4's AuditEvent reads who acted, too.
    """
    rtype = hearing.request.type
    parameter = hearing.house.definitions.search_param(rtype, name)
    if parameter is None or (
        name == "patient" and set(parameter.paths) <= set(ABOUT.get(rtype, ()))
    ):
        return ()
    refers = parameter.kind == "reference" or parameter.paths == _ADDRESSES
    return parameter.paths if refers else ()
