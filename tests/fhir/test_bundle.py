import orjson
import pytest

from proxy.fhir.bundle import (
    NO_RESOURCE,
    BundleType,
    FrameError,
    OutEntry,
    bundle_of,
    frame_of,
    high_water_mark,
)
from proxy.fhir.coding import CONFIDENTIALITY, Coding

PUBLIC = "http://gateway.example.org/fhir"
BODY = b'{"resourceType":"Observation","value":0.010,"x":"\\u00e9"}'


def test_a_frame_keeps_each_resource_as_its_bytes() -> None:
    body = (
        b' { "entry" : [ {"resource": '
        + BODY
        + b' , "search":{"mode":"include"}}, {} ], "type":"searchset","resourceType":"Bundle", "link":[{"relation":"self","url":"a"},{"relation":"next","url":"b"},{"relation":"next","url":"c"}]}'
    )
    frame = frame_of(body, "searchset")
    assert bytes(frame.entry[0].resource) == BODY
    assert frame.entry[0].search
    assert frame.entry[0].search.mode == "include"
    assert frame.entry[1].resource is NO_RESOURCE
    assert frame.next() == "b"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"<html>", b'{"resourceType":"Bundle"}', b'{"type":"searchset"}', b'{"resourceType":"Patient"}',
        b'{"resourceType":"Bundle","type":"history"}', b'{"resourceType":"Bundle","type":"message"}',
        b'{"resourceType":"Bundle","type":"searchset","entry":{}}', b'{"resourceType":"Bundle","type":"searchset","entry":[7]}',
        b'{"resourceType":"Bundle","type":"searchset","entry":[', b'{"resourceType":"Bundle","type":"searchset"}{}',
        b'{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next"}]}',
        b'{"resourceType":"Bundle","type":"searchset","link":[{"relation":"next","url":7}]}', b"[" * 100_000,
    ],
    ids=lambda body: body[:70].decode(),
)  # fmt: skip
def test_what_is_no_bundle_of_the_type_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError):
        frame_of(body, "searchset")


def test_a_searchset_is_built_anew_around_the_bytes() -> None:
    built = bundle_of(
        "searchset",
        [OutEntry("Observation/1", BODY, "match", "3"), OutEntry("Patient/1", b"{}", "include")],
        public_url=PUBLIC,
        links=[("self", f'{PUBLIC}/Observation?a="é')],
        total=1,
        labels=[Coding(CONFIDENTIALITY, "R")],
    )
    assert BODY in built
    assert orjson.loads(built) == {
        "resourceType": "Bundle",
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "type": "searchset",
        "total": 1,
        "link": [{"relation": "self", "url": f'{PUBLIC}/Observation?a="é'}],
        "entry": [
            {
                "fullUrl": f"{PUBLIC}/Observation/1",
                "resource": orjson.loads(BODY),
                "search": {"mode": "match"},
            },
            {"fullUrl": f"{PUBLIC}/Patient/1", "resource": {}, "search": {"mode": "include"}},
        ],
    }


def test_a_history_says_of_each_version_how_it_came_about() -> None:
    entries = [
        OutEntry("Patient/1", b"{}", "POST", "1"),
        OutEntry("Patient/1", b"{}", "PUT", ""),
        OutEntry("Patient/1", b"", deleted=True),
        OutEntry("Patient/2", b"{}", "PUT", "2", modified="2026-11-22T08:00:00.000+01:00"),
        OutEntry("Patient/2", b"", "", "3", deleted=True, modified="2026-11-22T08:00:00Z"),
        OutEntry("Patient/3", b"", deleted=True, modified='then","x":"'),
    ]
    built = orjson.loads(bundle_of("history", entries, public_url=PUBLIC, links=[], total=3))
    assert built["entry"] == [
        {"fullUrl": f"{PUBLIC}/Patient/1", "resource": {}, "request": {"method": "POST", "url": "Patient/1"}, "response": {"status": "200", "etag": 'W/"1"'}},
        {"fullUrl": f"{PUBLIC}/Patient/1", "resource": {}, "request": {"method": "PUT", "url": "Patient/1"}, "response": {"status": "200"}},
        {"fullUrl": f"{PUBLIC}/Patient/1", "request": {"method": "DELETE", "url": "Patient/1"}, "response": {"status": "204"}},
        {"fullUrl": f"{PUBLIC}/Patient/2", "resource": {}, "request": {"method": "PUT", "url": "Patient/2"}, "response": {"status": "200", "etag": 'W/"2"', "lastModified": "2026-11-22T08:00:00.000+01:00"}},
        {"fullUrl": f"{PUBLIC}/Patient/2", "request": {"method": "DELETE", "url": "Patient/2"}, "response": {"status": "204", "etag": 'W/"3"', "lastModified": "2026-11-22T08:00:00Z"}},
        {"fullUrl": f"{PUBLIC}/Patient/3", "request": {"method": "DELETE", "url": "Patient/3"}, "response": {"status": "204"}},
    ]  # fmt: skip


@pytest.mark.parametrize("bundle_type", ["searchset", "history"])
def test_an_empty_bundle_has_no_entry_and_no_label(bundle_type: BundleType) -> None:
    built = bundle_of(bundle_type, [], public_url=PUBLIC, links=[], total=None)
    assert orjson.loads(built) == {"resourceType": "Bundle", "type": bundle_type, "link": []}


@pytest.mark.parametrize(
    ("codes", "highest"),
    [([], ""), ([""], ""), (["N"], "N"), (["N", "R", "U"], "R"), (["V", "L"], "V"), (["U"], "U"), (["", "M", "L"], "M")],
)  # fmt: skip
def test_the_high_water_mark_is_the_highest_of_all(codes: list[str], highest: str) -> None:
    assert high_water_mark(codes) == ((Coding(CONFIDENTIALITY, highest),) if highest else ())


def test_what_has_no_identity_has_no_full_url() -> None:
    body = bundle_of(
        "searchset",
        [OutEntry("", b'{"resourceType":"OperationOutcome"}', "outcome")],
        public_url="http://g/fhir",
        links=(),
        total=0,
    )
    assert orjson.loads(body)["entry"] == [
        {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
    ]


def searchset_of(*entries: bytes) -> bytes:
    return (
        b'{"resourceType":"Bundle","entry":[%b],"type":"searchset","link":[{"relation":"next","url":"u"}]}'
        % b",".join(entries)
    )


POISON = [
    b'{"resource":{"resourceType":"Observation","id":"b","x":"\\ud800"}}',
    b'{"fullUrl":"\\udfff","resource":{"resourceType":"Observation","id":"b"}}',
    b'{"resource":{"resourceType":"Observation","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"resource":{},"search":{"mode":7}}',
    b'{"resource":{"x":nul}}',
    b'{"resource":{"x":01}}',
    b'{"resource":{"x" "y"}}',
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_an_entry_that_cannot_be_read_leaves_the_others_as_they_are(poison: bytes) -> None:
    good = b'{"resource":{"id":"%b"},"search":{"mode":"match"}}'
    before, after = good % b"a", good % b"c"
    frame = frame_of(searchset_of(before, poison, after), "searchset")
    clean = frame_of(searchset_of(before, after), "searchset")
    assert [bytes(one.resource) for one in (frame.entry[0], frame.entry[2])] == [
        b'{"id":"a"}',
        b'{"id":"c"}',
    ]
    assert [bytes(one.resource) for one in clean.entry] == [b'{"id":"a"}', b'{"id":"c"}']
    assert len(frame.entry) == 3
    assert frame.next() == clean.next() == "u"


@pytest.mark.parametrize(
    "body",
    [
        searchset_of(POISON[0], b"7"),
        searchset_of(POISON[0], b""),
        searchset_of(POISON[0])[:-1],
        searchset_of(POISON[0]) + b"x",
        searchset_of(POISON[0]).replace(b'"type"', b'"entry":[],"type"'),
        searchset_of(POISON[0]).replace(b'"searchset"', b'"\\ud800"'),
        searchset_of(b'{"x":"}'),
    ],
    ids=range(7),
)
def test_what_surrounds_the_entries_must_be_sound(body: bytes) -> None:
    with pytest.raises(FrameError):
        frame_of(body, "searchset")
