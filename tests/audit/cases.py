"""Journal entries that the tests of `proxy.audit` share: one clinician, her backend, two patients; all fictional."""

from typing import Any

import msgspec

from proxy.audit.agent import Observer
from proxy.audit.entry import Actor, Entry, Judged, Touched

OBSERVER = Observer("https://gateway.example.org/fhir", "consent gateway")
ANNA = Actor(
    issuer="https://idp.example.org",
    subject="user-anna",
    client_id="ward-app",
    token_id="jti-1234",
    kind="practitioner",
    fhir_user="Practitioner/anna",
    name="Anna Adams",
    roles=(("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "DOC"),),
    purposes=("TREAT",),
    organization=("urn:oid:1.2.3", "org-7"),
    organization_name="Example Hospital",
)
BACKEND = Actor(
    issuer="https://idp.example.org",
    subject="nightly",
    client_id="nightly",
    token_id="jti-9",
    kind="system",
)
PAYET = Actor(
    issuer="https://idp.example.org",
    subject="user-payet",
    client_id="ward-app",
    token_id="jti-77",
    kind="unknown",
    name="Lucie Payet",
    on_behalf_of=ANNA,
)
"""A secretary who acts for a physician."""
ASSISTANT = msgspec.structs.replace(PAYET, subject="ward-app", kind="system", name="")
"""An application that acts for a physician."""
READ = Entry(
    id="6f0f6c58-7d0e-4a6e-9f0c-0d5d0c4b1a11",
    recorded=1_790_000_000.25,
    request_id="req-1",
    outcome="permitted",
    status=200,
    method="GET",
    target="/fhir/Observation/o1",
    interaction="read",
    type="Observation",
    resource_id="o1",
    accept="application/fhir+json",
    peer="192.0.2.7",
    actor=ANNA,
    decisions=(Judged("permit", consents=("Consent/c1",), patients=("Patient/p1",)),),
    touched=(Touched(("Observation/o1/_history/3",), "disclosed", ("Patient/p1",), decision=0),),
)


def changed(entry: Entry, **fields: Any) -> Entry:
    return msgspec.structs.replace(entry, **fields)


SEARCH = changed(
    READ,
    target="/fhir/Observation?code=1234-5&_count=10",
    interaction="search-type",
    resource_id="",
    decisions=(
        Judged("permit", consents=("Consent/c1",), patients=("Patient/p1",)),
        Judged("permit", patients=("Patient/p2",)),
        Judged("deny", (("consent", "deny", "Consent/c3", ""),), ("Consent/c3",), ("Patient/p3",)),
    ),
    touched=(
        Touched(("Observation/o1",), "disclosed", ("Patient/p1",), decision=0),
        Touched(
            ("Observation/o2",), "redacted", ("Patient/p2",), ("Observation.note",), decision=1
        ),
        Touched(("Observation/o3",), "withheld", ("Patient/p3",), decision=2),
        Touched(("Observation/o4",), "disclosed", ("Patient/p1",), decision=0),
    ),
)
EMPTY_SEARCH = changed(SEARCH, decisions=(), touched=())
POST_SEARCH = changed(
    SEARCH, method="POST", target="/fhir/Observation/_search", form="code=1234-5&_count=10"
)
DENIED = changed(
    READ,
    outcome="denied",
    status=404,
    refusal="not-found",
    detail="Consent/c1 denies",
    decisions=(
        Judged("deny", (("consent", "deny", "Consent/c1", ""),), ("Consent/c1",), ("Patient/p1",)),
    ),
    touched=(Touched(("Observation/o1/_history/3",), "withheld", ("Patient/p1",), decision=0),),
)
FAILED = changed(
    READ, outcome="failed", status=503, refusal="unavailable", decisions=(), touched=()
)
HISTORY = changed(READ, interaction="history-instance", target="/fhir/Observation/o1/_history")
HISTORIES = changed(
    READ, interaction="history-type", target="/fhir/Observation/_history", resource_id=""
)
CAPABILITIES = changed(
    READ,
    interaction="capabilities",
    target="/fhir/metadata",
    type="",
    resource_id="",
    actor=Actor(),
    decisions=(),
    touched=(),
)
NO_TOKEN = changed(
    CAPABILITIES,
    interaction="",
    target="/fhir/x",
    outcome="denied",
    status=401,
    refusal="bad-token",
)
ALL = {
    "read": READ,
    "search": SEARCH,
    "empty search": EMPTY_SEARCH,
    "search by POST": POST_SEARCH,
    "denied": DENIED,
    "failed": FAILED,
    "history": HISTORY,
    "capabilities": CAPABILITIES,
    "no token": NO_TOKEN,
    "backend": changed(READ, actor=BACKEND),
    "delegate": changed(READ, actor=PAYET),
    "delegate who is denied": changed(DENIED, actor=PAYET),
    "delegate in an organisation": changed(
        READ, actor=msgspec.structs.replace(PAYET, organization=("urn:oid:1.2.3", "org-7"))
    ),
    "application that acts for somebody": changed(SEARCH, actor=ASSISTANT),
    "no patient": changed(READ, decisions=(), touched=(Touched(("Medication/m1",), "disclosed"),)),
}
