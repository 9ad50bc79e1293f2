import orjson
import pytest

from proxy.decision.model import Decision, Obligations, Redaction
from proxy.fhir.coding import Effect
from proxy.fhir.content import Wanted
from proxy.fhir.reader import EnvelopeReader
from proxy.obligations.disclose import Disclosed, Judged, applying, disclose, illegible
from proxy.obligations.redact import PseudonymKey
from tests.obligations.cases import DEFINITIONS

KEY = PseudonymKey(b"k" * 32)
READER = EnvelopeReader(DEFINITIONS.resource_types, (), Wanted())
PATIENT = b' {"resourceType":"Patient","id":"a", "telecom":[{"value":"0199"}],"x":1E+2}'
PHONE = Redaction("remove", "Patient.telecom")


def permitted(raw: bytes, *redactions: Redaction) -> Judged:
    obligations = Obligations(frozenset(redactions))
    return Judged(raw, READER.read(raw), Decision(Effect.PERMIT, (), obligations))


def test_what_is_permitted_with_nothing_to_change_is_the_same_bytes() -> None:
    assert disclose(permitted(PATIENT), KEY) == Disclosed(PATIENT, ())
    elsewhere = Redaction("remove", "Observation.note")
    assert disclose(permitted(PATIENT, elsewhere), KEY) == Disclosed(PATIENT, ())


def test_what_is_to_be_redacted_leaves_without_it_and_says_which() -> None:
    disclosed = disclose(permitted(PATIENT, PHONE), KEY)
    assert b"0199" not in bytes(disclosed.body)
    assert b"1E+2" in bytes(disclosed.body)
    assert disclosed.redacted == ("Patient.telecom",)


def test_a_contained_resource_is_redacted_too() -> None:
    raw = orjson.dumps({"resourceType": "Coverage", "id": "c", "contained": [{"resourceType": "Patient", "id": "a", "telecom": [{"value": "0199"}]}]})  # fmt: skip
    assert b"0199" not in bytes(disclose(permitted(raw, PHONE), KEY).body)


@pytest.mark.parametrize(
    "judged",
    [
        Judged(PATIENT, None, None),
        Judged(PATIENT, READER.read(PATIENT), None),
        Judged(PATIENT, None, Decision(Effect.PERMIT)),
        Judged(PATIENT, READER.read(PATIENT), Decision(Effect.DENY)),
    ],
)
def test_nothing_else_is_ever_disclosed(judged: Judged) -> None:
    with pytest.raises(ValueError, match="only a permitted resource"):
        disclose(judged, KEY)


APPLYING = [
    ("Patient.telecom", "Patient", b"{}", True),
    ("*.text", "Patient", b"{}", True),
    ("Patient.telecom", "Observation", b"{}", False),
    ("Patient.telecom", "PatientX", b"{}", False),
    ("Patient.telecom", "Observation", b'{"contained":[]}', True),
    ("Patient.telecom", "Observation", b'{"cont\\u0061ined":[]}', True),
    ("Patient.name", "Observation", b'{"display":"Ann"}', True),
    ("Patient.identifier", "Observation", b'{"identifier":{}}', True),
    ("Patient.name", "Observation", b"{}", False),
]


@pytest.mark.parametrize(("path", "rtype", "raw", "applies"), APPLYING)
def test_which_redactions_may_find_something(
    path: str, rtype: str, raw: bytes, *, applies: bool
) -> None:
    redaction = Redaction("remove", path)
    assert (redaction in applying([redaction], rtype, raw)) is applies


TWICE = b'{"resourceType":"Patient","id":"a","telecom":[],"telecom":[]}'
CODED = b'{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"note":[{"text":"y"}]}'
ILLEGIBLE = [
    ("whole", permitted(PATIENT, PHONE), False),
    ("two members of one name", permitted(TWICE, PHONE), True),
    ("two members of one name, nothing to redact", permitted(TWICE), False),
    ("two members of one name, nothing that applies", permitted(TWICE, Redaction("remove", "Observation.note")), False),
    ("a cut that can be made", permitted(CODED, Redaction("cut", "Observation.note[0]")), False),
    ("a cut of what must be there", permitted(CODED, Redaction("cut", "Observation.status")), True),
    ("no decision", Judged(TWICE, READER.read(PATIENT), None), False),
    ("no envelope", Judged(TWICE, None, permitted(PATIENT, PHONE).decision), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("judged", "expected"), [one[1:] for one in ILLEGIBLE], ids=[one[0] for one in ILLEGIBLE]
)
def test_what_must_be_redacted_and_cannot_be_read_or_cut_is_told(
    judged: Judged, *, expected: bool
) -> None:
    assert illegible(judged) is expected


_LED = {"resourceType": "Observation", "id": "o", "hasMember": [{"reference": "Observation/gone"}], "note": [{"text": "a note"}]}  # fmt: skip


def test_references_that_lead_nowhere_are_taken_out_after_what_is_redacted() -> None:
    raw = orjson.dumps(_LED)
    note = permitted(raw, Redaction("remove", "Observation.note"))
    astray = frozenset({"Observation/gone"})
    both = disclose(note._replace(astray=astray), KEY)
    assert {"hasMember", "note"}.isdisjoint(orjson.loads(bytes(both.body)))
    assert (both.redacted, both.pruned) == (
        ("Observation.note",),
        ("Observation.hasMember.reference",),
    )
    assert both.altered == ("Observation.hasMember.reference", "Observation.note")
    pruned = disclose(permitted(raw)._replace(astray=astray), KEY)
    assert pruned == Disclosed(pruned.body, (), ("Observation.hasMember.reference",))
    assert orjson.loads(bytes(pruned.body)) == {k: v for k, v in _LED.items() if k != "hasMember"}
    elsewhere = frozenset({"Observation/other"})
    assert disclose(permitted(raw)._replace(astray=elsewhere), KEY) == Disclosed(raw, ())
    assert disclose(permitted(raw)._replace(astray=frozenset()), KEY) == Disclosed(raw, ())


def test_a_pseudonym_is_that_of_the_key() -> None:
    told = permitted(PATIENT, Redaction("pseudonymise", "Patient.telecom"), Redaction("pseudonymise", "Patient.id"))  # fmt: skip
    bodies = {bytes(disclose(told, PseudonymKey(one * 32)).body) for one in (b"k", b"l")}
    assert len(bodies) == 2
