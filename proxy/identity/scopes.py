"""SMART scopes, v1 and v2, as a ceiling: they never widen (SMART App Launch 2.2; standards SCOPE-1..15)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One understood resource scope: `level` patient|user|system, `rtype` a type or `*`, `permissions` a subset of `cruds`."""

    level: str
    rtype: str
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Scopes:
    """All resource scopes of a token that were understood; what was not understood grants nothing."""

    granted: frozenset[ResourceScope] = frozenset()
