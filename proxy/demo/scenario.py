"""The scenario of the demo as a table: who asks for what, and what has to come out. Pure.

An expectation is one of the words that `play` finds for an answer:

    whole                       byte for byte as the FHIR server wrote it
    without address, telecom    the top-level elements that were taken out
    absent                      not to be told from a resource that does not exist
    refused                     403: this caller may not ask this at all
    opened, ended               a break-glass grant
    5 entries                   the matches of a search
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """One who asks: the name of a claim set in `fhir-samples/tokens/`, and how the table calls him or her."""

    token: str
    title: str


@dataclass(frozen=True, slots=True)
class Step:
    """One request, `GET target` below the gateway's base, and what is expected."""

    person: Person
    target: str
    expected: str


@dataclass(frozen=True, slots=True)
class Change:
    """A patient changes her mind: the status of a Consent, set on the FHIR server itself, past the gateway."""

    consent: str
    status: str


@dataclass(frozen=True, slots=True)
class Ceremony:
    """Break-glass for one patient: `POST $break-glass` or, with `expected` `ended`, `$end-break-glass`."""

    person: Person
    patient: str
    expected: str

    @property
    def operation(self) -> str:
        """The operation that is posted to."""
        return "$end-break-glass" if self.expected == "ended" else "$break-glass"


REASON = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"}
JUSTIFICATION = "found unconscious in the street, no relative at hand"


@dataclass(frozen=True, slots=True)
class Part:
    """Steps that show one thing."""

    title: str
    steps: tuple[Step | Change | Ceremony, ...]


PHYSICIAN = Person("care-team-physician", "Dr Martin, on the team")
NURSE = Person("care-team-nurse", "Nora, nurse on the team")
DENIED = Person("denied-clinician", "Dr Blanc, on a deny list")
OUTSIDER = Person("outside-clinician", "Dr Outis, from elsewhere")
GP = Person("general-practitioner", "Dr Petit, family doctor")
PATIENT = Person("patient", "Camille herself")
INSURER = Person("insurer", "Odile, insurer")

PEOPLE = (PHYSICIAN, NURSE, DENIED, OUTSIDER, GP, PATIENT, INSURER)

_MASKED = "DocumentReference/camille-doc-surgery"
_DOCUMENTS = "DocumentReference?patient=camille&_count=50"
_OBSERVATIONS = "Observation?patient=camille&_count=50"
_CONSENT = "Consent/ines-dr-outis"

SCENARIO = (
    Part(
        "The same request by several people",
        (
            Step(PHYSICIAN, "Patient/camille", "whole"),
            Step(NURSE, "Patient/camille", "without address, extension, telecom"),
            Step(GP, "Patient/camille", "whole"),
            Step(PATIENT, "Patient/camille", "whole"),
            Step(OUTSIDER, "Patient/camille", "absent"),
            Step(INSURER, "Patient/camille", "refused"),
        ),
    ),
    Part(
        "Denise is treated by Dr Martin and has put Dr Blanc, of the same team, on her deny list",
        (
            Step(PHYSICIAN, "Patient/denise", "whole"),
            Step(DENIED, "Patient/denise", "absent"),
            Step(DENIED, "Condition?patient=denise", "0 entries"),
        ),
    ),
    Part(
        "A document that Camille has masked: hidden looks like a document that does not exist",
        (
            Step(PHYSICIAN, _MASKED, "absent"),
            Step(PHYSICIAN, "DocumentReference/no-such-document", "absent"),
            Step(NURSE, _MASKED, "absent"),
            Step(GP, _MASKED, "whole"),
            Step(PATIENT, _MASKED, "whole"),
        ),
    ),
    Part(
        "A search: each sees the matches that are for him or her, and no sign of others",
        (
            Step(PHYSICIAN, _DOCUMENTS, "6 entries"),
            Step(NURSE, _DOCUMENTS, "5 entries"),
            Step(GP, _DOCUMENTS, "7 entries"),
            Step(PATIENT, _DOCUMENTS, "6 entries"),
            Step(OUTSIDER, _DOCUMENTS, "0 entries"),
            Step(INSURER, _DOCUMENTS, "refused"),
            Step(PHYSICIAN, _OBSERVATIONS, "29 entries"),
            Step(GP, _OBSERVATIONS, "31 entries"),
            Step(PATIENT, _OBSERVATIONS, "30 entries"),
        ),
    ),
    Part(
        "Inès has consented to Dr Outis by name; she withdraws, and gives her Consent again",
        (
            Step(OUTSIDER, "Patient/ines", "whole"),
            Change(_CONSENT, "inactive"),
            Step(OUTSIDER, "Patient/ines", "absent"),
            Change(_CONSENT, "active"),
            Step(OUTSIDER, "Patient/ines", "whole"),
        ),
    ),
    Part(
        "Break-glass: Noé lies in the emergency department and has signed nothing; Marcel has opposed it beforehand",
        (
            Step(OUTSIDER, "Patient/noe", "absent"),
            Ceremony(INSURER, "Patient/noe", "refused"),
            Ceremony(OUTSIDER, "Patient/noe", "opened"),
            Step(OUTSIDER, "Patient/noe", "whole"),
            Step(OUTSIDER, "AllergyIntolerance?patient=noe", "1 entries"),
            Step(OUTSIDER, "DocumentReference/noe-doc-masked", "absent"),
            Step(PHYSICIAN, "Patient/noe", "absent"),
            Ceremony(OUTSIDER, "Patient/marcel", "opened"),
            Step(OUTSIDER, "Patient/marcel", "absent"),
            Ceremony(OUTSIDER, "Patient/marcel", "ended"),
            Ceremony(OUTSIDER, "Patient/noe", "ended"),
            Step(OUTSIDER, "Patient/noe", "absent"),
        ),
    ),
)
