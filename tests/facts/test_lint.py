from collections.abc import Sequence

import orjson
import pytest

from proxy.errors import UpstreamError
from proxy.facts.lint import Linted, lint_consents
from proxy.facts.relationship import Reading
from tests.facts.consents import PARIS, Json, actor, deny, permit, r4, r5

NOW = 1_790_000_000.0
READING = Reading(PARIS, ("http://fhir.example.org/r4",))
DENIES_GROUP = deny(actor("Group/g"))


class Server:
    """Consents and groups; `None` = such a search fails."""

    def __init__(self, consents: list[Json] | None, groups: list[Json] | None = None) -> None:
        self.found = {"Consent": consents, "Group": groups, "Practitioner": []}
        self.asked: list[tuple[str, Sequence[tuple[str, str]]]] = []

    async def search(
        self, resource_type: str, parameters: Sequence[tuple[str, str]]
    ) -> list[bytes]:
        self.asked.append((resource_type, parameters))
        found = self.found[resource_type]
        if found is None:
            raise UpstreamError("down")
        return [orjson.dumps(one) for one in found]


async def linted(server: Server, version: str = "4.0.1", patient: str = "") -> list[Linted]:
    return await lint_consents(server, READING, version, NOW, patient)


GROUP: Json = {"resourceType": "Group", "id": "g", "member": []}

CASES = [
    (r4(permit()), [], "ENFORCEABLE", ""),
    (r4(permit(), status="draft"), [], "INACTIVE", "status draft"),
    (r4(permit({"period": {"end": "2001"}})), [], "INACTIVE", "now is outside its period"),
    (r4(permit(), implicitRules="x"), [], "UNSUPPORTED", "implicitRules; the patient's data are denied under it"),
    (r4(None), [], "UNSUPPORTED", "no base decision"),
    (r4(DENIES_GROUP), [GROUP], "ENFORCEABLE", ""),
    (r4(DENIES_GROUP), [], "LIMIT", "provision: Group/g cannot be identified, so its deny is for everyone"),
    (r4(permit(actor("Group/g"))), [], "LIMIT", "so its permit is for nobody"),
    (r4(deny(actor("Practitioner/x"))), [], "LIMIT", "Practitioner/x cannot be identified"),
    (r4(permit(actor("Practitioner/x"))), [], "ENFORCEABLE", ""),
    (r4(DENIES_GROUP), None, "LIMIT", "could not be looked up"),
]  # fmt: skip


@pytest.mark.parametrize(("consent", "groups", "status", "why"), CASES)
async def test_each_consent_has_a_status_and_a_reason(
    consent: Json, groups: list[Json] | None, status: str, why: str
) -> None:
    [one] = await linted(Server([consent], groups))
    assert (one.consent, one.patient, one.status) == ("Consent/c1", "Patient/p1", status)
    assert why in one.why
    assert bool(one.why) == bool(why)


async def test_consents_of_r5_are_read_as_such() -> None:
    assert [one.status for one in await linted(Server([r5("permit")]), "5.0.0")] == ["ENFORCEABLE"]
    assert [one.status for one in await linted(Server([r5("permit")]))] == ["UNSUPPORTED"]


async def test_one_patients_consents_are_asked_for_and_no_others_are_told() -> None:
    nobodys = r4(permit(), own="c3", patient="urn:uuid:1")
    server = Server([r4(permit()), r4(permit(), own="c2", patient="Patient/p2"), nobodys])
    assert [one.consent for one in await linted(server, patient="Patient/p1")] == [
        "Consent/c3", "Consent/c1",
    ]  # fmt: skip
    assert server.asked == [("Consent", (("patient", "Patient/p1"),))]
    assert len(await linted(server)) == 3


async def test_more_consents_than_are_read_for_a_decision_are_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.facts.lint.MAX_CONSENTS", 2)
    three = [r4(permit(), own=f"c{n}") for n in range(3)]
    inactive = r4(permit(), own="c9", status="inactive")
    told = await linted(Server([*three[1:], inactive, r4(permit(), own="x", patient="Patient/p2")]))
    assert [one.status for one in told] == ["ENFORCEABLE", "ENFORCEABLE", "INACTIVE", "ENFORCEABLE"]
    told = await linted(Server([*three, inactive]))
    assert [one.status for one in told] == ["LIMIT", "LIMIT", "LIMIT", "INACTIVE"]
    assert "more than 2 active Consents" in told[0].why


@pytest.mark.parametrize("brought", [None, [{"resourceType": "Patient"}], [["Consent"]]])
async def test_nothing_is_told_unless_all_consents_could_be_read(
    brought: list[Json] | None,
) -> None:
    with pytest.raises(UpstreamError):
        await linted(Server(brought))


async def test_what_many_consents_name_is_looked_up_in_few_searches() -> None:
    consents = [r4(deny(actor(f"Practitioner/x{n}")), own=f"c{n}") for n in range(600)]
    server = Server(consents)
    assert {one.status for one in await linted(server)} == {"LIMIT"}
    assert len(server.asked) == 1 + 3
