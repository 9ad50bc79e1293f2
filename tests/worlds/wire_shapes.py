"""Requests that differ in verb, header, format and spelling of the path: most are refused, all alike in both worlds."""

from tests.worlds.twins import Shape

HIDDEN, SHOWN, ABSENT = "Observation/run-a0", "Observation/seen-0", "Observation/no-such"
SEARCH = "Observation?patient=camille&_count=3"
NAMED = (HIDDEN, SHOWN, ABSENT, "Patient/noe", SEARCH)

_VERBS = [
    Shape(target, verb)
    for verb in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "SEARCH", "COPY", "get", "POST")
    for target in (HIDDEN, SHOWN, ABSENT, "Observation")
]  # fmt: skip

_HEADERS: list[tuple[tuple[str, str], ...]] = [
    (("if-none-match", "*"),),
    (("if-none-match", 'W/"1"'),),
    (("if-none-match", '"1", W/"2"'),),
    (("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),),
    (("if-modified-since", "Sun, 01 Jan 2040 00:00:00 GMT"),),
    (("if-match", 'W/"1"'),),
    (("if-unmodified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),),
    (("range", "bytes=0-99"),),
    (("prefer", "handling=lenient"),),
    (("prefer", "return=minimal"),),
    (("prefer", "respond-async"),),
    (("x-http-method-override", "DELETE"),),
    (("x-method-override", "GET"),),
    (("x-forwarded-host", "elsewhere.example.org"), ("x-forwarded-proto", "https")),
    (("x-forwarded-for", "10.0.0.1"), ("forwarded", "host=elsewhere.example.org")),
    (("x-original-url", "/fhir/Patient/noe"), ("x-rewrite-url", "/fhir/Patient/noe")),
    (("x-user", "Practitioner/dr-vernay"), ("x-role", "admin")),
    (("x-situation", "regulation"),),
    (("x-consent-override", "true"), ("x-break-glass", "true")),
    (("x-request-id", "CANARY"),),
    (("cache-control", "no-cache"), ("pragma", "no-cache")),
    (("cache-control", "only-if-cached"),),
    (("accept-encoding", "gzip, br"),),
    (("accept-language", "fr"), ("accept-charset", "iso-8859-1")),
    (("origin", "https://elsewhere.example.org"),),
    (("cookie", "session=1"),),
    (("connection", "keep-alive, authorization"),),
    (("content-type", "application/fhir+json"),),
]
_HEADED = [
    Shape(target, headers=headers) for headers in _HEADERS for target in (HIDDEN, SHOWN, SEARCH)
]

_ACCEPTS = (
    "application/fhir+xml", "application/xml", "text/html", "text/turtle", "application/fhir+ndjson", "*/*", "*/*;q=0",
    "application/json", "application/fhir+json;fhirVersion=4.0", "application/fhir+json;fhirVersion=5.0",
    "application/fhir+json;charset=iso-8859-1", "application/fhir+json;q=0, */*", "application/json-patch+json", "",
)  # fmt: skip
_FORMATS = (
    "json", "application/fhir%2Bjson", "xml", "application/fhir%2Bxml", "html", "text/csv", "ndjson", "ttl", "json&_format=xml",
    "", "JSON",
)  # fmt: skip
_FORMATTED = [
    *(Shape(target, accept=accept) for accept in _ACCEPTS for target in (HIDDEN, SEARCH)),
    *(
        Shape(f"{target}{'&' if '?' in target else '?'}_format={one}")
        for one in _FORMATS
        for target in (HIDDEN, SEARCH)
    ),
    *(Shape(f"{SHOWN}?_pretty={one}") for one in ("true", "false", "maybe")),
]

_BODIES = [
    Shape("Observation/_search", "POST", body, headers=(("content-type", kind),))
    for kind in (
        "application/x-www-form-urlencoded; charset=utf-8", "application/x-www-form-urlencoded; charset=utf-7",
        "application/json", "application/fhir+json", "multipart/form-data; boundary=x", "text/plain",
    )
    for body in ("patient=noe", "_id=run-a0&_id=seen-0")
] + [
    Shape("Observation/_search", "POST", "patient=noe", headers=(("content-encoding", "gzip"),)),
    Shape(HIDDEN, "GET", "patient=camille"),
    Shape("_search", "POST", "_type=Observation&patient=noe"),
    Shape("Observation/_search", "GET"),
    Shape("Patient/noe/_search", "POST", "code=1003-0"),
]  # fmt: skip

_PATHS = [
    Shape(path)
    for path in (
        "", "/", "_history", "Observation/_history", "Observation//run-a0", "Observation/run-a0/", "Observation/run-a0/_history/",
        "Observation/run-a0/_history/2", "Observation/run-a0/_history/0", "Observation/run-a0/_history/1/2", "Patient/noe/*",
        "Patient/noe/Condition", "Practitioner/dr-vernay/Observation", "observation/run-a0", "OBSERVATION/run-a0", "Observation/RUN-A0",
        "Observation/run-a0%00", "Observation/run-a0%20", "Observation/run-a0%2F..%2Fseen-0", "Observation/seen-0/..%2frun-a0",
        "Observation/%2e%2e/Patient/noe", "Observation/run-a0;x=1", "Observation;x=1/run-a0", "Observation%2Frun-a0",
        "Observation/run-a0%3F_format=json", "Observation/run%252Da0", "Observation\\run-a0", "Patient/noe/$everything?_count=2",
        "$export", "Patient/$export", "Group/prevention-grippe/$export", "Observation/$lastn?patient=noe", "Patient/noe/$summary", "$graphql",
        "Patient/$match", "Observation/run-a0/$validate", "Observation/run-a0/%24everything", "$meta", "Observation/$meta", "$diff",
        "metadata?_summary=true", "metadata?mode=full", ".well-known/smart-configuration", "_getpages", "?_getpages=1", "_type=Observation",
    )
]  # fmt: skip

_SPELLED = [
    Shape(f"Observation?{query}")
    for query in (
        "_filter=patient%20eq%20noe", "_content=CANARY", "_text=CANARY", "_list=1", "_in=Group/prevention-grippe", "_query=named",
        "_tag=vip", "_profile=x", "_source=x", "_contained=both", "_containedType=contained", "_include=*", "_revinclude=*",
        "_include:iterate=Observation:subject", "_include:recurse=Observation:subject", "_revinclude:iterate=Provenance:target",
        "_sort:desc=date", "_sort=_score", "_HAS:Observation:patient:code=1003-0", "%5fhas:Observation:patient:code=1003-0", "_score=1",
        "_security:not=V", "_includeHidden=true", "_explain=analyze", "_debug=1", "_expunge=true", "_cascade=delete", "_maxresults=1",
        "_graph=x", "apply=true", "ct=x", "_narrative=x", "patient=camille%26patient=noe", "patient=camille;patient=noe",
        "patient=camille%5C,noe", "patient=%2Cnoe", "patient=camille,,noe", "patient:Patient=noe", "patient:Group=noe", "patient.=noe",
        "subject=noe", "subject=Patient/noe,Group/prevention-grippe", "subject=http://elsewhere.example.org/fhir/Patient/noe",
        "subject=http://gateway.example.org/fhir/Patient/noe", "subject=Patient/noe/_history/1", "patient=PATIENT/noe", "patient=",
        "patient", "=noe", "&&", "patient[]=noe", "patient%00=noe", "patient=noe%00", "patient=no%65", "code:in=x", "code:below=x",
        "code:above=x", "code:text=x", "code:of-type=x", "code:not-in=x", "value-string:contains=x", "combo-code=1003-0",
        "code-value-quantity=1003-0$gt1", "component-code=1003-0", "date=le2026-05-01&date=ge2026-01-01", "date=2026-13-01", "date=x",
        "_id=run-a0&_id=seen-0", "_count=-1", "_count=x", "_count=1&_count=2", "_count=100000", "_sort=", "_sort=date,,code",
        "_total=none", "_total=x", "_summary=x", "_summary=false", "_elements=", "_elements=*", "_offset=10", "_since=2020", "page=2",
    )
]  # fmt: skip

ADDRESSED = [*_PATHS, *_SPELLED]
"""Other spellings of paths and parameters."""
HEADED = [*_VERBS, *_HEADED, *_FORMATTED, *_BODIES]
"""Other verbs, headers, formats and bodies."""
