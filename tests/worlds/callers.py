"""Who asks in both worlds: people of the samples, and such as hold less or other than they do."""

from typing import Any

_PHYSICIAN = "care-team-physician"
_CONSTRAINTS = (
    "user/Observation.rs?status=final user/Observation.rs?category=laboratory "
    "user/Encounter.rs user/Practitioner.rs user/Patient.rs patient/Condition.rs"
)

ALWAYS: dict[str, Any] = {
    _PHYSICIAN: _PHYSICIAN,
    "care-team-nurse": "care-team-nurse",
    "patient": "patient",
    "legal-guardian": "legal-guardian",
    "system": {
        "sub": "dossier-batch",
        "client_id": "dossier-batch",
        "scope": "system/*.rs",
        "like": _PHYSICIAN,
        "fhirUser": None,
        "extensions": None,
    },
    "constrained": {"like": _PHYSICIAN, "scope": _CONSTRAINTS, "patient": "camille"},
}
"""Those who make every request. The nurse is shown redacted views; break-glass has a module of its own."""

REDACTED = frozenset({"care-team-nurse"})
"""Those for whom the other world says something else where they see redacted views."""

SOMETIMES: dict[str, Any] = {
    "outside-clinician": "outside-clinician",
    "psychiatrist": "psychiatrist",
    "one-patient-only": {"like": _PHYSICIAN, "scope": "patient/*.rs", "patient": "camille"},
    "insurer": "insurer",
    "nobody": None,
    "of-another-issuer": {"like": _PHYSICIAN, "signed": "elsewhere"},
}
"""Those who make every third request, each another third."""

EVERYBODY = {**ALWAYS, **SOMETIMES}
