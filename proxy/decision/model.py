"""Decision: Effect, Reasons and Obligations as one value (XACML; Cedar `Response`)."""

from dataclasses import dataclass
from enum import Enum

from proxy.facts.grant import Grant
from proxy.fhir.coding import Coding, Effect


class Verdict(Enum):
    """One voice before combining (XACML Permit, Deny, NotApplicable, Indeterminate)."""

    PERMIT = "permit"
    DENY = "deny"
    NOT_APPLICABLE = "not-applicable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: which voice (`scope`, `policy`, `consent`, `label`, `patient`), which rule or provision, one safe sentence."""

    voice: str
    verdict: Verdict
    source: str
    """Rule id, or Consent reference and provision path (`Consent/c1#provision.provision[0]`)."""
    sentence: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Redaction:
    """One redaction obliged by a rule: operator (`remove`, `mask`, `generalise`, …) and FHIRPath element path."""

    operator: str
    path: str
    argument: str = ""


KEEP = "keep"
"""The operator of a Redaction that takes nothing out: its argument is the url of an extension that stays where others are redacted."""


@dataclass(frozen=True, slots=True)
class Obligations:
    """What must be done for a permit to hold: redactions, notifications, warnings."""

    redactions: frozenset[Redaction] = frozenset()
    notify: frozenset[tuple[str, str]] = frozenset()
    """(recipient, rule that obliges): `patient` or `privacy-officer` is told of what leaves."""

    warn: frozenset[str] = frozenset()
    """Texts that the reader is told with the data."""
    binds: frozenset[Coding] = frozenset()
    """Handling labels that go on binding whoever gets the data; a Bundle bears them too."""

    def __or__(self, other: "Obligations") -> "Obligations":
        return Obligations(
            self.redactions | other.redactions,
            self.notify | other.notify,
            self.warn | other.warn,
            self.binds | other.binds,
        )


NO_OBLIGATIONS = Obligations()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a decision about one patient was made from, apart from the policies: enough to make it again under others.

    `patient` is empty where there is none. `consent` is `permit`, `deny`, `none` or `unknown`; `named`: by a provision that
    names the caller. `barred`: a voice that no policy can answer (the token, an unknown patient) speaks against it.
    """

    patient: str
    type: str
    labels: frozenset[Coding]
    """As written on the resource, before the labelling rules."""
    codes: frozenset[Coding]
    relationships: frozenset[str] | None
    """`None` when unknown. With those to the resource itself (`author`)."""
    consent: str
    named: bool = False
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The combined answer. `consents` are the references of the Consents that were read for it."""

    effect: Effect
    reasons: tuple[Reason, ...] = ()
    obligations: Obligations = NO_OBLIGATIONS
    consents: frozenset[str] = frozenset()
    whose: frozenset[tuple[str, str]] = frozenset()
    """(patient, Consent) where there are several patients: the record of one names no Consent of another."""
    confidentiality: str = ""
    """The resource's effective confidentiality code (`U`…`V`), for the high-water mark; empty when there is none."""
    evidence: tuple[Evidence, ...] = ()
    """One for each patient, or one for nobody; none where the resource could not be judged at all."""
    grants: tuple[Grant, ...] = ()
    """The break-glass grants without which it would be a denial."""

    @property
    def alters(self) -> bool:
        """Whether a resource cannot leave as it came: it is denied, or something is to be redacted."""
        return self.effect is not Effect.PERMIT or bool(self.obligations.redactions)

    @property
    def permits(self) -> bool:
        """Whether the resource may leave, after its obligations."""
        return self.effect is Effect.PERMIT
