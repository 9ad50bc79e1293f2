"""Guard: refuse search parameters, sort keys and includes that read what may be redacted for this caller (decisions §7).

Redacting the answer while upstream still searches the redacted element would answer every guess (T-7, T-18, T-19). The
refusal depends on the shape of the request and on who asks: a rule that might redact is enough.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.decision import handling
from proxy.decision.case import Case
from proxy.decision.inline import cuts_of
from proxy.decision.model import Decision
from proxy.errors import CallerError, Refusal
from proxy.fhir.chains import searches_of
from proxy.fhir.choices import fits
from proxy.fhir.conditions import Condition
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest
from proxy.obligations.cuts import steps_of


def guard(request: FhirRequest, case: Case, definitions: Definitions) -> None:
    """Refuses a request whose predicates or sort keys, those of its chains too, touch an element that may be redacted."""
    for key in itertools.chain.from_iterable(map(_keys_of, searches_of(request))):
        hidden = redactable(case, key.type)
        if hidden and any(_overlaps(path, hidden) for path in _paths_read(definitions, key)):
            raise CallerError(
                Refusal.PARAMETER,
                f"parameter `{key.name}` reads an element that is redacted for this caller",
            )
        if key.modifier == _BY_IDENTIFIER and _hides_identifier(definitions, case, key):
            raise CallerError(
                Refusal.PARAMETER,
                f"parameter `{key.name}` reads an identifier that is redacted for this caller",
            )


def fulfillable(conditions: Iterable[Condition], case: Case) -> frozenset[Condition]:
    """The conditions of a token's scopes but those that read what may be redacted for this caller: that one holds would tell it.

    An application may have its scopes written as it likes. What is left out is fulfilled by nothing.
    """
    cases = [one for one in (case, case.emergency, case.behind) if one is not None]
    return frozenset(
        condition
        for condition in conditions
        if not any(_reads_hidden(condition, redactable(one, condition.rtype)) for one in cases)
    )


def _reads_hidden(condition: Condition, hidden: frozenset[tuple[str, ...]]) -> bool:
    return any(_overlaps(".".join(path), hidden) for path in condition.paths)


def _hides_identifier(definitions: Definitions, case: Case, key: "_Key") -> bool:
    """Whether `:identifier` could read what is redacted in the resources that the parameter may name."""
    parameter = definitions.search_params.get(key.type, {}).get(key.name)
    targets = parameter.targets if parameter else ()
    return any(_overlaps("identifier", redactable(case, target)) for target in targets)


def redactable(case: Case, rtype: str) -> frozenset[tuple[str, ...]]:
    """Element paths of a type, as steps, that a rule standing for this caller, or a label, redacts; `*.x` is every type's `x`."""
    redactions = handling.redactable(case).union(
        *(one.rule.obligations.redactions for one in case.permits)
    )
    paths = {redaction.path.partition(".") for redaction in redactions}
    return frozenset(tuple(rest.split(".")) for head, _, rest in paths if head in (rtype, "*"))


def reads_cut(
    request: FhirRequest, rtype: str, decision: Decision, definitions: Definitions
) -> bool:
    """Whether a search filters, sorts or joins by what is cut out of a resource of this type.

    That it was found, and where, would tell of what is cut. No shape of request can be refused for it, as it is the resource
    that says what is cut; so it is withheld from this search, whatever the value is.
    """
    cut = frozenset(
        tuple(step for step in steps_of(path) if isinstance(step, str))
        for path in cuts_of(decision)
    )
    return bool(cut) and any(
        _overlaps(path, cut) or _overlaps_spelled(path, cut)
        for key in _keys_of(request)
        if key.type == rtype
        for path in _paths_read(definitions, key)
    )


class _Key(NamedTuple):
    """One thing a request filters, sorts or joins by."""

    type: str
    name: str
    modifier: str = ""


_BY_IDENTIFIER = "identifier"


def _keys_of(request: FhirRequest) -> Iterator[_Key]:
    """What is read of the resources that are searched themselves, and of those that are included."""
    if request.tie:
        yield _Key(request.type, request.tie)
    for link in request.links:
        if not link.reverse:
            yield _Key(request.type, link.name)
    for parameter in request.parameters:
        yield _Key(request.type, parameter.name, parameter.modifier)
    for key in request.sort:
        yield _Key(request.type, key.removeprefix("-"))
    for include in request.includes:
        for value in include.values:
            source, _, rest = value.partition(":")
            yield _Key(source, rest.partition(":")[0])


_OF_EVERY_TYPE = {"_id": "id", "_lastUpdated": ""}
"""What they read; `_lastUpdated` moves with whichever element is changed, a hidden one too (T-61)."""


def _paths_read(definitions: Definitions, key: _Key) -> Iterable[str]:
    """The element paths a parameter reads; one that is not known may read anything."""
    if key.name in _OF_EVERY_TYPE:
        return (_OF_EVERY_TYPE[key.name],)
    parameter = definitions.search_params.get(key.type, {}).get(key.name)
    if parameter is None or not (parameter.paths or parameter.filtered):
        return ("",)
    return (*parameter.paths, *(path.partition("[")[0] for path in parameter.filtered))


def _overlaps(path: str, hidden: frozenset[tuple[str, ...]]) -> bool:
    """Whether one path lies inside the other; `value` covers `valueQuantity` (choice types)."""
    steps = path.split(".") if path else []
    return any(all(map(fits, other, steps)) for other in hidden)


def _overlaps_spelled(path: str, cut: frozenset[tuple[str, ...]]) -> bool:
    """The same where the cut names the choice as spelled: `valueQuantity` is read by `value`."""
    steps = path.split(".")
    return any(all(map(fits, steps, other)) for other in cut)
