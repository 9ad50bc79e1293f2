"""A request for each refusal on the way a request is understood."""

from typing import NamedTuple

FORM = {"content-type": "application/x-www-form-urlencoded"}
FHIR = {"content-type": "application/fhir+json"}


class Asked(NamedTuple):
    """One request below the base, as the gateway reads it off the wire."""

    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    repeated: frozenset[str] = frozenset()
    twice: str = ""
    """Why another refusal behind this one says the same."""


def _posted(target: str, body: bytes, **headers: str) -> Asked:
    sent = {**FORM, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Asked(target, "POST", tuple(sent.items()), body)


def _everything(body: bytes) -> Asked:
    return Asked("Patient/camille/$everything", "POST", tuple(FHIR.items()), body)


def _with(name: str, value: str, target: str = "Observation/seen-0") -> Asked:
    return Asked(target, headers=((name, value),))


_MANY = ",".join(f"{at}-0" for at in range(600))
_PAIRS = "&".join(["code=1003-0"] * 60)

REFUSED: tuple[Asked, ...] = (
    # search
    Asked("Observation/seen-0?code=1003-0"),
    Asked("Observation?_page=AAAA&_count=3"),
    Asked("Observation?patient:Patient.name=a" + "&subject:Patient._id=noe" * 12),
    Asked(f"Observation?code={_MANY}&code={_MANY}"),
    Asked("Observation?_summary=text&_include=Observation:subject"),
    Asked("Observation?_summary=data&_elements=code"),
    Asked("Observation?_count=1&_count=2"),
    Asked("Observation?_include=*"),
    Asked("Observation?_include=Observation:focus:Nothing"),
    Asked("Observation?_count=-1"),
    Asked("Observation/seen-0/_history?_summary=count"),
    Asked("Observation?_elements=Patient.name"),
    Asked("Observation?_total=exact"),
    Asked("Observation?_sort=patient.name"),
    Asked("Observation/seen-0/_history?_since=yesterday"),
    Asked("Observation?_page=a%2Fb"),
    Asked("Observation/seen-0?_format=xml"),
    Asked("Observation/seen-0?_pretty=perhaps"),
    # parameters
    Asked("Observation?_security=V"),
    Asked("Observation?code=1003-0,,1001-0"),
    Asked("Observation?code:in=x"),
    Asked("Observation?code:missing=true,false"),
    Asked("Observation?date=x"),
    Asked("Observation?subject=http://elsewhere.example.org/fhir/Patient/noe"),
    # query
    Asked("Observation?code=" + "x" * 65_536),
    Asked("Observation?code=\u00e9"),
    Asked("Observation?" + "&".join(["code=1003-0"] * 101), twice="URL and form are each counted before they are read, and then together"),
    _posted("Observation/_search", "code=\u00e9".encode()),
    Asked("Observation?_count="),
    Asked("Observation?_id=%zz"),
    Asked("Observation?_id=%ff"),
    Asked("Observation?_id=%00"),
    # chains
    Asked("Patient?_has:Encounter:patient:_has:Observation:encounter:_has:DiagnosticReport:result:_has:Procedure:reason-reference:status=x"),
    Asked("Observation?code.name=noe"),
    Asked("Patient?_has:Observation:patient=x"),
    Asked("Patient?_has:Observation:encounter:code=x"),
    Asked("Observation?performer.nonsense=x"),
    # headers
    Asked("Observation/seen-0", repeated=frozenset({"authorization"})),
    _with("x-http-method-override", "DELETE"),
    _posted("Observation/_search", b"code=1003-0", transfer_encoding="gzip"),
    _posted("Observation/_search", b"code=1003-0", content_encoding="gzip"),
    _with("prefer", "respond-async"),
    Asked("Observation/seen-0", "GET", body=b"code=1003-0"),
    Asked("Observation/_search", "POST", (("content-type", "text/plain"),), b"patient=camille"),
    # compartments
    Asked("Patient/camille/Medication"),
    Asked("Patient/camille/Observation?_sort=date"),
    Asked("Patient/camille/*?_type=Medication"),
    # operations
    Asked("Observation/$lastn?patient=camille&category=laboratory&status=final"),
    Asked("Observation/$lastn?patient=camille"),
    Asked("Observation/$lastn?patient=camille&code=1003-0&max=0"),
    Asked("Patient/camille/$everything?_type=Nothing"),
    Asked("Observation/$lastn?patient=camille&patient=noe&code=1003-0"),
    Asked("Observation/$lastn?patient=camille,noe&code=1003-0"),
    Asked("DocumentReference/$docref?patient=camille&on-demand=true"),
    Asked("Composition/x/$document?id=y"),
    Asked("Patient/camille/$summary?identifier=urn:x|y"),
    Asked("Patient/camille/$summary?profile=http://example.org/other"),
    _everything(b'{"resourceType":"Patient"}'),
    _everything(b'{"resourceType":"Parameters","id":"x"}'),
    _everything(b'{"resourceType":"Parameters","parameter":[{"name":"_count","valueString":"3"}]}'),
    _everything(
        b'{"resourceType":"Parameters","parameter":[{"name":"_count","valueInteger":true}]}'
    )._replace(twice="no parameter of the operation takes the spelling of what is neither text nor number"),
    # interactions
    _with("accept", "application/fhir+xml"),
    Asked("Observation/seen-0%2F"),
    Asked("Observation/../Patient/noe"),
    _posted(f"Observation/_search?{_PAIRS}", _PAIRS.encode()),
    Asked("/else/Patient/noe"),
    Asked("$graphql", "OPTIONS"),
    Asked("Observation/seen-0/_history/1/2"),
    Asked("Nothing/seen-0"),
    Asked("Observation/seen-0", "DELETE"),
)  # fmt: skip
"""One for each; several for none."""

ELSEWHERE = {
    "require_async": "an export is asked for where it is performed: tests/enforcement/test_export.py",
    "require_ndjson": "the file of an export: tests/fhir/test_negotiation.py",
    "parameters_of": "the body of a break-glass ceremony, or of an export: tests/fhir/test_operation.py",
    "_parameter": "the body of a break-glass ceremony, or of an export: tests/fhir/test_operation.py",
    "patient_in": "the body of a break-glass ceremony, or of an export: tests/fhir/test_operation.py",
    "coding_in": "the body of a break-glass ceremony, or of an export: tests/fhir/test_operation.py",
    "text_in": "the body of a break-glass ceremony, or of an export: tests/fhir/test_operation.py",
}
"""Refusals that no request of these comes to."""
