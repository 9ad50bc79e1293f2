"""Grant: an open break-glass emergency of one person for one patient, as a dated fact (decisions §9; v3-ActReason BTG).

A grant is held by the very person and application that opened it, for the one patient named, until it expires. Times are
seconds since the epoch. Pure.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from proxy.identity.principal import Principal

BREAK_GLASS_TIE = "break-glass"
"""The relationship that an open grant makes (decisions §5)."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a grant: another client of the same person holds none (T-186). `fhir_user` is empty where there is none."""

    issuer: str
    subject: str
    client_id: str
    fhir_user: str = ""


def holder_of(principal: Principal) -> Holder:
    """Who would hold the grants of a principal."""
    user = principal.fhir_user or ""
    return Holder(principal.issuer, principal.subject, principal.client_id, user)


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant: open from `opened` to before `expires`, unless it was ended. `patient` is `Patient/x`, `reason` `system#code`."""

    id: str
    holder: Holder
    patient: str
    opened: float
    expires: float
    reason: str = ""
    trusted: bool = False
    """Whether no ceremony opened it but the purpose of a token whose issuer's word is enough."""

    def covers(self, instant: float) -> bool:
        """Whether it is open at an instant, as far as its time goes."""
        return self.opened <= instant < self.expires


NO_GRANTS: Mapping[str, Grant] = MappingProxyType({})
"""Nothing is granted."""


def by_patient(grants: Iterable[Grant]) -> Mapping[str, Grant]:
    """The grants by their patients; of several for one patient, the first."""
    found: dict[str, Grant] = {}
    for grant in grants:
        found.setdefault(grant.patient, grant)
    return MappingProxyType(found)


def grants_for(
    patients: Collection[str], grants: Mapping[str, Grant], holder: Holder, now: float
) -> tuple[Grant, ...]:
    """The open grants of a holder for *every* one of these patients; none at all where one is missing, or nobody is meant."""
    found = [grants[patient] for patient in sorted(patients) if patient in grants]
    usable = [one for one in found if one.holder == holder and one.covers(now)]
    return tuple(usable) if len(usable) == len(patients) else ()
