"""Real SMART clients through the gateway: discovery, launch or backend flow, reads, searches, pages.

Each sees what its user may see, and nothing else; what that is stands in `visible`.
"""

from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from tests.interop.identity_gateway import Front, fronted
from tests.interop.identity_provider import CALLBACK, PROJECT, browsed
from tests.interop.programs import asked, started
from tests.interop.visible import stored, visible
from tests.stage import Json

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = 7
ABSENT = "noe"  # a patient without any Consent
CLINICIAN = "openid fhirUser user/*.rs"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    async with fronted(tmp_path_factory.mktemp("gateway")) as front:
        yield front


def assert_paged(pages: list[list[str]], expected: Iterable[str]) -> None:
    """Full pages but for the last, nothing twice, nothing hidden, nothing missing."""
    flat = [one for page in pages for one in page]
    assert [len(page) for page in pages[:-1]] == [PAGE] * (len(pages) - 1)
    assert len(pages) > 2
    assert sorted(flat) == sorted(expected)


async def smart_configuration(front: Front) -> Json:
    reply = await front.ask(".well-known/smart-configuration", None)
    assert reply.status == 200
    return reply.json


async def app_shows(front: Front, url: str) -> Json:
    """What an app answers to its person's browser."""
    async with front.session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        found = await answer.json()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("file", "sealed"),
    [("package-lock.json", '"integrity": "sha512-'), ("requirements.txt", "--hash=sha256:")],
)
async def test_clients_are_pinned_by_digest_and_come_from_nowhere_in_particular(
    file: str, sealed: str
) -> None:
    text = (PROJECT / file).read_text()
    assert text.count(sealed) > 15
    assert "://" not in text


async def test_smart_configuration_names_the_real_endpoints(front: Front) -> None:
    told, provider = await smart_configuration(front), front.provider.metadata
    for name in ("issuer", "jwks_uri", "authorization_endpoint", "token_endpoint"):
        assert told[name] == provider[name], name
    assert told["code_challenge_methods_supported"] == ["S256"]


async def test_smart_configuration_is_json_whatever_is_asked_for(front: Front) -> None:
    for accept in ("text/html", "application/fhir+xml", "*/*"):
        reply = await front.ask(".well-known/smart-configuration", None, headers={"Accept": accept})
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("person", "scope", "user"),
    [
        ("care-team-physician", f"launch {CLINICIAN}", "Practitioner/dr-martin"),
        ("general-practitioner", "launch openid fhirUser user/*.read", "Practitioner/dr-petit"),
        ("patient", "launch openid fhirUser patient/*.rs", "Patient/camille"),
    ],
)
async def test_an_app_on_fhirclient_of_npm_is_launched(
    front: Front, person: str, scope: str, user: str
) -> None:
    wanted = {
        "client": "smart-app",
        "scope": scope,
        "read": "Patient/camille",
        "absent": f"Patient/{ABSENT}",
        "search": f"Observation?patient=camille&_count={PAGE}",
    }
    async with started("smart_app.mjs") as program:
        await program.tell(wanted)
        app = (await program.line()).removeprefix("ready ")
        launch = urlencode({"iss": front.url, "launch": f"{person}@camille"})
        found = await app_shows(front, await browsed(f"{app}/launch?{launch}"))
    assert found["context"] == "camille"
    assert found["user"].removeprefix(f"{front.url}/") == user
    assert found["name"] == user.partition("/")[2]
    assert (found["read"], found["absent"]) == ("Patient/camille", 404)
    assert_paged(found["pages"], visible("Observation", person))


@pytest.mark.parametrize("person", ["care-team-physician", "general-practitioner"])
async def test_an_app_on_fhirclient_of_pypi_is_launched(front: Front, person: str) -> None:
    endpoints = await smart_configuration(front)
    wanted = {
        "base": front.url,
        "client": "smart-app",
        "scope": CLINICIAN,
        "launch": f"{person}@camille",
        "redirect": CALLBACK,
        "authorize": endpoints["authorization_endpoint"],
        "token": endpoints["token_endpoint"],
        "absent": ABSENT,
        "count": str(PAGE),
    }
    async with started("smart_app.py") as program:
        await program.tell(wanted)
        await program.tell(await browsed(await program.line()))
        found = await program.found()
    assert (found["context"], found["read"], found["absent"]) == ("camille", "Patient/camille", 404)
    assert_paged(found["pages"], visible("Observation", person))


async def test_a_backend_service_on_fhir_kit_client_finds_its_way(front: Front) -> None:
    wanted = {
        "base": front.url,
        "client": "backend",
        "scope": "system/*.rs",
        "key": str(front.provider.backend_pem),
        "read": ["Practitioner", "dr-martin"],
        "absent": ["Practitioner", "nobody"],
        "search": ["Practitioner", {"_count": 3}],
    }
    found = await asked("backend_service.mjs", wanted)
    metadata = front.provider.metadata
    assert found["endpoints"]["token"] == metadata["token_endpoint"]
    assert found["endpoints"]["authorize"] == metadata["authorization_endpoint"]
    assert (found["read"], found["absent"]) == ("Practitioner/dr-martin", 404)
    assert [len(page) for page in found["pages"]] == [3, 3, 3, 1]
    assert {one for page in found["pages"] for one in page} == stored("Practitioner")


async def test_a_backend_service_gets_no_record_of_a_patient(front: Front) -> None:
    token = (await front.provider.service("system/*.rs")).token
    known = await front.ask("Patient/camille", token)
    unknown = await front.ask("Patient/no-such-patient", token)
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.status == 403
    assert (await front.ask("Observation?patient=camille", token)).status == 403


@pytest.mark.parametrize(("person", "post"), [("care-team-nurse", False), ("patient", True)])
async def test_fhir_kit_client_with_the_token_of_a_person(
    front: Front, person: str, post: bool
) -> None:
    scope = "launch/patient patient/*.read" if person == "patient" else "user/*.read"
    wanted = {
        "base": front.url,
        "token": (await front.provider.logged_in(person, scope)).token,
        "read": ["Patient", "camille"],
        "absent": ["Patient", ABSENT],
        "search": ["Observation", {"patient": "camille", "_count": PAGE}],
        "post": post,
    }
    found = await asked("backend_service.mjs", wanted)
    assert (found["read"], found["absent"]) == ("Patient/camille", 404)
    assert_paged(found["pages"], visible("Observation", person))


@pytest.mark.parametrize(
    ("person", "scope"),
    [
        ("care-team-physician", "user/*.rs"),
        ("care-team-nurse", "user/Observation.rs user/DocumentReference.rs user/Patient.r"),
        ("patient", "patient/*.rs"),
    ],
)
@pytest.mark.parametrize("kind", ["Observation", "DocumentReference"])
async def test_fhirpy_reads_sorted_pages(front: Front, person: str, scope: str, kind: str) -> None:
    wanted = {
        "base": front.url,
        "token": (await front.provider.logged_in(person, scope)).token,
        "read": ["Patient", "camille"],
        "absent": ["Patient", ABSENT],
        "type": kind,
        "search": {"patient": "camille"},
        "sort": "date",
        "path": ["effectiveDateTime"] if kind == "Observation" else ["date"],
        "count": 3,
    }
    found = await asked("reader.py", wanted)
    assert (found["version"], found["read"], found["absent"]) == ("4.0.1", "Patient/camille", True)
    assert sorted(found["all"]) == sorted(visible(kind, person))
    assert found["sorted by"] == sorted(found["sorted by"])
