"""AuditEvent.entity: what was touched, as BALP slices it (patient, data, query, transaction, consent, token)."""

from base64 import b64encode
from urllib.parse import urlsplit

from proxy.audit import balp
from proxy.audit.agent import Observer, plain, token_uri
from proxy.audit.balp import Json, coding
from proxy.audit.entry import Actor, Entry

_FORM = "application/x-www-form-urlencoded"


def patient_entity(reference: str) -> Json:
    """The patient whose data were touched (1:52.4.1.6)."""
    return {
        "what": {"reference": reference},
        "type": coding(balp.PERSON),
        "role": coding(balp.PATIENT_ROLE),
    }


def data_entity(reference: str, *, exists: bool) -> Json:
    """The one resource of a read or a write, version-specific where the version is known.

    What may not exist is named by an identifier: repositories that keep referential integrity refuse the event otherwise.
    """
    kind = reference.partition("/")[0]
    what = (
        {"reference": reference} if exists else {"type": kind, "identifier": {"value": reference}}
    )
    return {
        "what": what,
        "type": coding(balp.SYSTEM_OBJECT),
        "role": coding(balp.RESOURCE_ROLE),
    }


def query_entity(entry: Entry, observer: Observer) -> Json:
    """The raw request, base64, so that malformed content is kept (1:52.4.1.4); no credentials."""
    raw = _raw_request(entry, observer).encode("utf-8", "backslashreplace")
    return {
        "type": coding(balp.SYSTEM_OBJECT),
        "role": coding(balp.QUERY_ROLE),
        "query": b64encode(raw).decode(),
    }


def request_entities(entry: Entry) -> list[Json]:
    """entity[transaction]: the request id; none if it is empty (3:5.7.3.1)."""
    value = plain(entry.request_id)
    if not value:
        return []
    return [{"what": {"identifier": {"value": value}}, "type": coding(balp.REQUEST_ID)}]


def consent_entity(reference: str) -> Json:
    """A Consent that a decision was based on."""
    return {"what": {"reference": reference}, "type": coding(balp.CONSENT)}


def token_entities(actor: Actor) -> list[Json]:
    """entity[token]: the id of the token; none if it has none."""
    value = token_uri(actor)
    if not value:
        return []
    return [{"what": {"identifier": {"value": value}}, "type": coding(balp.OAUTH_AGENT)}]


def _raw_request(entry: Entry, observer: Observer) -> str:
    base = urlsplit(observer.public_url)
    headers = [f"Accept: {entry.accept}", f"X-Request-Id: {entry.request_id}"]
    # Another body than a search's is a resource: patient data, and no part of a query.
    if not entry.form or not entry.target.partition("?")[0].endswith("/_search"):
        return "\n".join([f"{entry.method} {base.scheme}://{base.netloc}{entry.target}", *headers])
    first = [
        f"{entry.method} {entry.target} HTTP/1.1",
        f"Host: {base.netloc}",
        f"Content-Type: {_FORM}",
    ]
    return "\n".join([*first, *headers, "", entry.form])
