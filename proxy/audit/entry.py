"""The journal entry: the whole true record of one request; the AuditEvent is one view of it (BALP §9)."""

from enum import Enum

import msgspec


class Actor(msgspec.Struct, frozen=True, omit_defaults=True):
    """The principal as recorded: never the token itself."""

    issuer: str = ""
    subject: str = ""
    client_id: str = ""
    token_id: str = ""
    kind: str = ""
    fhir_user: str = ""
    name: str = ""
    roles: tuple[tuple[str, str], ...] = ()
    """(system, code)."""
    purposes: tuple[str, ...] = ()
    """v3-ActReason codes."""
    organization: tuple[str, str] = ("", "")
    """Identifier (system, value)."""
    organization_name: str = ""
    situation: str = ""
    """The situation of practice that was chosen, `place/profession`."""
    on_behalf_of: "Actor | None" = None
    """The one on whose behalf the caller acted."""


class Touched(msgspec.Struct, frozen=True, omit_defaults=True):
    """Resources that were considered and fared alike, for the same reasons.

    `disclosed`, `redacted` or `withheld`; `consulted` where the answer tells something of them without showing them (a count,
    a chain); `explained` where a reviewer was told of them.
    """

    references: tuple[str, ...]
    """`Type/id` or `Type/id/_history/v`; empty for one that could not be read."""
    outcome: str
    patients: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    """Element paths."""
    decision: int = -1
    """Index into `Entry.decisions`; -1 where none was reached."""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one decision about one patient was made from, apart from the policies (`decision.model.Evidence`)."""

    type: str
    consent: str
    patient: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    """(system, code)."""
    codes: tuple[tuple[str, str], ...] = ()
    relationships: tuple[str, ...] | None = ()
    """`None` when unknown."""
    named: bool = False
    barred: bool = False


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the caller counted as, beyond the token's words: what FHIR resources and the policies' defaults add."""

    roles: tuple[tuple[str, str], ...] = ()
    """(system, code)."""
    organization_types: tuple[tuple[str, str], ...] = ()
    purposes: tuple[str, ...] = ()


class Would(msgspec.Struct, frozen=True, omit_defaults=True):
    """What enforcement would have answered, where the gateway only observes (`mode: observe`)."""

    status: int
    refusal: str = ""
    detail: str = ""


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    """One decision, stored once however many resources share it."""

    effect: str
    reasons: tuple[tuple[str, str, str, str], ...] = ()
    """(voice, verdict, source, sentence)."""
    consents: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    whose: tuple[tuple[str, str], ...] = ()
    """(patient, Consent) where there are several patients."""
    evidence: tuple[Evidence, ...] = ()

    grants: tuple[str, ...] = ()
    """Ids of the break-glass grants without which it would be a denial."""

    def consents_of(self, patient: str) -> tuple[str, ...]:
        """The Consents of one patient that were read."""
        if not self.whose:
            return self.consents
        return tuple(consent for about, consent in self.whose if about == patient)


class Notice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody is to be told of a request: once a recipient and patient, and only of what really left."""

    recipient: str
    """`patient` or `privacy-officer`."""
    patient: str
    """`Patient/id`; empty where what left is about nobody."""
    why: str
    """The rule that obliges, or what else calls for the notice (`break-glass-start`)."""


class GrantAct(Enum):
    """What became of a break-glass grant in one request."""

    STARTED = "started"
    USED = "used"
    ENDED = "ended"
    EXPIRED = "expired"
    REVIEWED = "reviewed"


class GrantNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """One act on one break-glass grant (decisions §9). Times are seconds since the epoch, `reason` is `system#code`.

    The acts that can open a grant, `started` and `used` of one that a token's purpose makes, say all of it.
    """

    act: GrantAct
    id: str
    patient: str
    """`Patient/id`."""
    issuer: str = ""
    subject: str = ""
    client_id: str = ""
    fhir_user: str = ""
    opened: float = 0.0
    expires: float = 0.0
    reason: str = ""
    text: str = ""
    """The justification of a start, the note of a review."""
    trusted: bool = False


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `outcome`: `permitted`, `denied` (401, 403, hidden 404…) or `failed` (upstream, own failure)."""

    id: str
    """UUID."""
    recorded: float
    """Seconds since the epoch."""
    request_id: str
    outcome: str
    status: int
    method: str
    target: str
    """Raw request target as received; for POST _search the form follows in `form`."""
    interaction: str = ""
    type: str = ""
    resource_id: str = ""
    version: str = ""
    form: str = ""
    accept: str = ""
    peer: str = ""
    actor: Actor = Actor()
    refusal: str = ""
    """`errors.Refusal` value, empty when answered."""
    detail: str = ""
    """True reason of a refusal or failure; never patient data."""
    policy_digest: str = ""
    decisions: tuple[Judged, ...] = ()
    touched: tuple[Touched, ...] = ()
    standing: Standing = Standing()
    would: Would | None = None
    """Set where the gateway only observed: `touched` and `decisions` are then what would have been, and all of it left."""
    notices: tuple[Notice, ...] = ()
    """Who is to be told; they are delivered from here, and so are as durable as the entry."""
    warnings: tuple[str, ...] = ()
    """What the reader was told with the data."""
    grants: tuple[GrantNote, ...] = ()
    """Break-glass grants that this request opened, used, ended or reviewed."""
    findings: tuple[tuple[str, str], ...] = ()
    """(kind, what it is about): what was not understood on the way, for the operator to see to."""
