"""Attacks of one patient's record on what others may see: a hidden Consent must not change anybody else's answers."""

from pathlib import Path

from tests.attacks.records import PHYSICIAN, ZED, about, consent, gateway, resource
from tests.stage import Json

RECIPIENT = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    ]
}
REFUSES_ANOTHER = consent("zed-refuses", "deny", actor=[{"role": RECIPIENT, "reference": {"reference": "Practitioner/dr-blanc"}}])  # fmt: skip
SEEN = (*ZED, REFUSES_ANOTHER, about("Condition", "zc", code={"text": "both"}))
KINDS = """Account Appointment Basic CarePlan Claim Communication Composition Condition Coverage Device Encounter
 EpisodeOfCare Flag Goal Group Immunization List Media Observation""".split()  # noqa: SIM905


def hidden(**provision: object) -> tuple[Json, ...]:
    """Another patient, whose record is closed, and the same Condition in it."""
    somebody = {"reference": "Patient/hidden"}
    theirs = {**consent("theirs", "deny", **provision), "patient": somebody}
    return (
        resource("Patient", "hidden"),
        {**about("Condition", "hc", code={"text": "both"}), "subject": somebody},
        theirs,
    )


async def test_a_consent_that_names_the_whole_world_costs_its_own_patient_only(
    tmp_path: Path,
) -> None:
    data = [{"meaning": "related", "reference": {"reference": f"{kind}/1"}} for kind in KINDS]
    async with gateway(tmp_path, *SEEN, *hidden(data=data)) as (stage, _):
        assert (await stage.ask("Condition?_id=zc,hc", PHYSICIAN)).ids == ["Condition/zc"]
