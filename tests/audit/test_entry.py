"""The journal entry: what one patient's record may name."""

import msgspec
import pytest

from proxy.audit.entry import Entry, Judged

ALONE = Judged("permit", consents=("Consent/c1", "Consent/c2"), patients=("Patient/p1",))
SHARED = Judged(
    "deny",
    consents=("Consent/c1", "Consent/c2"),
    patients=("Patient/p1", "Patient/p2"),
    whose=(("Patient/p1", "Consent/c1"), ("Patient/p2", "Consent/c2")),
)


@pytest.mark.parametrize(
    ("judged", "patient", "expected"),
    [
        (ALONE, "Patient/p1", ("Consent/c1", "Consent/c2")),
        (SHARED, "Patient/p1", ("Consent/c1",)),
        (SHARED, "Patient/p2", ("Consent/c2",)),
        (SHARED, "Patient/p3", ()),
    ],
)
def test_each_patient_has_only_the_consents_that_are_his_or_hers(
    judged: Judged, patient: str, expected: tuple[str, ...]
) -> None:
    assert judged.consents_of(patient) == expected


def test_an_entry_is_read_as_it_was_written() -> None:
    entry = Entry(
        "id", 1.0, "request", "permitted", 200, "GET", "/fhir/Patient/p", decisions=(SHARED,)
    )
    assert msgspec.json.decode(msgspec.json.encode(entry), type=Entry) == entry
