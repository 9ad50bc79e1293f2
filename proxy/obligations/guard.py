"""Guard: refuse search parameters, sort keys and includes that read what may be redacted for this caller (decisions §7).

Redacting the answer while upstream still searches the redacted element would answer every guess (T-7, T-18, T-19). The
refusal depends on the shape of the request and on who asks: a rule that might redact is enough.
"""

from collections.abc import Iterable, Iterator

from proxy.decision.decide import Case
from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest


def guard(request: FhirRequest, case: Case, definitions: Definitions) -> None:
    """Refuses a request whose predicates or sort keys touch an element that may be redacted."""
    for rtype, name in _keys_of(request):
        hidden = redactable(case, rtype)
        if hidden and any(
            _overlaps(path, hidden) for path in _paths_read(definitions, rtype, name)
        ):
            raise CallerError(
                Refusal.PARAMETER,
                f"parameter `{name}` reads an element that is redacted for this caller",
            )


def redactable(case: Case, rtype: str) -> frozenset[tuple[str, ...]]:
    """Element paths of a type, as steps, that some rule standing for this caller redacts; `*.x` is every type's `x`."""
    paths = {
        redaction.path.partition(".")
        for one in case.permits
        for redaction in one.rule.obligations.redactions
    }
    return frozenset(tuple(rest.split(".")) for head, _, rest in paths if head in (rtype, "*"))


def _keys_of(request: FhirRequest) -> Iterator[tuple[str, str]]:
    """(type, parameter name) of everything the request filters, sorts or joins by."""
    for parameter in request.parameters:
        yield request.type, parameter.name
    for key in request.sort:
        yield request.type, key.removeprefix("-")
    for include in request.includes:
        for value in include.values:
            source, _, rest = value.partition(":")
            yield source, rest.partition(":")[0]


def _paths_read(definitions: Definitions, rtype: str, name: str) -> Iterable[str]:
    parameter = definitions.search_params.get(rtype, {}).get(name)
    if parameter is None:
        return ()
    filtered = (path.partition("[")[0] for path in parameter.filtered)
    return (*parameter.paths, *filtered)


def _overlaps(path: str, hidden: frozenset[tuple[str, ...]]) -> bool:
    """Whether one path lies inside the other; `value` covers `valueQuantity` (choice types)."""
    steps = tuple(path.split("."))
    return any(all(map(_same_step, other, steps)) for other in hidden)


def _same_step(hidden: str, read: str) -> bool:
    return read == hidden or (
        read.startswith(hidden) and read[len(hidden) : len(hidden) + 1].isupper()
    )
