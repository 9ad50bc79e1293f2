"""What the constrained scopes of a token ask of resources (SMART App Launch 2.2, finer-grained scopes; standards SCOPE-8)."""

from functools import lru_cache

from proxy.fhir.conditions import Condition, condition_of
from proxy.fhir.definitions import Definitions, definitions_of
from proxy.identity.scopes import ResourceScope, Scopes


def conditions_of(
    scopes: Scopes, definitions: Definitions, public_url: str
) -> frozenset[Condition]:
    """Every condition that can be evaluated; a constraint that cannot is fulfilled by no resource."""
    if not scopes.constrained:
        return frozenset()
    return _conditions(scopes.constrained, definitions.fhir_version, public_url)


@lru_cache(maxsize=512)
def _conditions(
    constrained: frozenset[ResourceScope], fhir_version: str, public_url: str
) -> frozenset[Condition]:
    definitions = definitions_of(fhir_version)
    found = (
        condition_of(rtype, constraint, definitions, public_url)
        for scope in constrained
        for rtype in (definitions.resource_types if scope.rtype == "*" else (scope.rtype,))
        for constraint in scope.constraints
    )
    return frozenset(one for one in found if one is not None)
