"""The record of a change of policies: what was in force, what is now, or why not (DICOM PS3.15 A.5, Security Alert).

No request, no caller, no patient: the gateway itself read a directory. The digest of the entry is that of the policies in
force from then on, as in every other entry.
"""

from proxy.audit import balp
from proxy.audit.agent import Observer, observer_reference
from proxy.audit.balp import Json, coding
from proxy.audit.entry import Entry
from proxy.fhir.coding import Coding

POLICIES = "policies"
"""`Entry.interaction` of a change of policies."""

_CONFIGURATION = Coding(balp.SECURITY_ALERT.system, "110129")
"""DCM: security configuration."""
_SAID = {"permitted": "other policies are in force", "denied": "changed policies were refused"}


def changed(entry_id: str, recorded: float, before: str, after: str) -> Entry:
    """The policies with the digest `after` are in force instead of those with `before`."""
    detail = f"policies changed: {before} until now, {after} from now on"
    return _entry(entry_id, recorded, "permitted", detail, after)


def refused(entry_id: str, recorded: float, in_force: str, why: str) -> Entry:
    """A change was refused; the policies with the digest `in_force` stay."""
    return _entry(entry_id, recorded, "denied", f"policies refused: {why}", in_force)


def _entry(entry_id: str, recorded: float, outcome: str, detail: str, digest: str) -> Entry:
    return Entry(
        id=entry_id,
        recorded=recorded,
        request_id="",
        outcome=outcome,
        status=0,
        method="",
        target="",
        interaction=POLICIES,
        detail=detail,
        policy_digest=digest,
    )


def event_of(entry: Entry, observer: Observer, recorded: str) -> Json:
    """The AuditEvent of a change: a security alert of the gateway about its own configuration; it claims no profile."""
    refusal = entry.outcome != "permitted"
    return {
        "type": coding(balp.SECURITY_ALERT),
        "subtype": [coding(_CONFIGURATION)],
        "action": "U",
        "recorded": recorded,
        "outcome": balp.MINOR_FAILURE if refusal else balp.SUCCESS,
        "outcomeDesc": _SAID[entry.outcome],
        "agent": [
            {
                "type": {"coding": [coding(balp.APPLICATION)]},
                "who": observer_reference(observer),
                "requestor": True,
            }
        ],
        "source": {
            "site": observer.name,
            "observer": observer_reference(observer),
            "type": [coding(balp.SECURITY_SERVER)],
        },
        "entity": [
            {
                "what": {"identifier": {"value": entry.policy_digest}},
                "type": coding(balp.SYSTEM_OBJECT),
                "description": "SHA-256 of the policies in force from now on",
            }
        ],
    }
