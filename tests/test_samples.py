"""The sample patients: valid R4, complete, fictional, and with a canary in all that is hidden."""

import base64
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

SAMPLES = Path(__file__).parents[1] / "fhir-samples"
README = (SAMPLES / "README.md").read_text(encoding="utf-8")
FILES = sorted(SAMPLES.glob("*.json"))
TOKENS = sorted((SAMPLES / "tokens").glob("*.json"))
PATIENTS = {"camille", "denise", "ines", "leo", "marcel", "noe", "susan"}
PEOPLE = {
    "care-team-physician", "care-team-nurse", "denied-clinician", "outside-clinician",
    "general-practitioner", "patient", "insurer",
}  # fmt: skip
SUPPORT = {
    "CareTeam", "Consent", "Group", "Location", "Organization", "Patient", "Practitioner",
    "PractitionerRole", "Provenance", "RelatedPerson",
}  # fmt: skip
UNIVERSAL = {"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"}
PROTECTING = {
    "R", "V", "ETH", "SUD", "HIV", "PSY", "SEX", "SDV",
    "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX",
}  # fmt: skip
CANARY = re.compile(r"CANARY-[a-z0-9-]+")
INS_TEST = "urn:oid:1.2.250.1.213.1.4.10"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str
    url: str


class Coding(msgspec.Struct, frozen=True):
    system: str
    code: str


class Meta(msgspec.Struct, frozen=True):
    security: list[Coding] = []


class Head(msgspec.Struct, frozen=True):
    resource_type: str = msgspec.field(name="resourceType")
    id: str
    meta: Meta = Meta()


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    full_url: str = msgspec.field(name="fullUrl")
    resource: msgspec.Raw
    request: Request


class Transaction(msgspec.Struct, frozen=True):
    type: str
    entry: list[Entry]


class Sample(msgspec.Struct, frozen=True):
    file: str
    raw: bytes
    head: Head

    @property
    def reference(self) -> str:
        return f"{self.head.resource_type}/{self.head.id}"

    @property
    def labels(self) -> set[str]:
        return {coding.code for coding in self.head.meta.security}

    @property
    def content(self) -> object:
        return orjson.loads(self.raw)


class Iua(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subject_name: str
    purpose_of_use: list[Coding]
    subject_organization: str = ""
    subject_organization_id: str = ""
    subject_role: list[Coding] = []


class Extensions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ihe_iua: Iua


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: str
    sub: str
    aud: str
    client_id: str
    jti: str
    scope: str
    fhir_user: str = msgspec.field(name="fhirUser")
    extensions: Extensions
    patient: str = ""


def transaction_of(file: Path) -> Transaction:
    return msgspec.json.decode(file.read_bytes(), type=Transaction)


def samples_of(file: Path) -> list[Sample]:
    raws = [bytes(entry.resource) for entry in transaction_of(file).entry]
    return [Sample(file.name, raw, msgspec.json.decode(raw, type=Head)) for raw in raws]


def claims_of(file: Path) -> Claims:
    return msgspec.json.decode(file.read_bytes(), type=Claims)


SAMPLE_LIST = [sample for file in FILES for sample in samples_of(file)]
BY_REFERENCE = {sample.reference: sample for sample in SAMPLE_LIST}


def elements(value: object) -> Iterator[tuple[str, object]]:
    """Every (name, value) of a JSON tree, at any depth."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield name, child
            yield from elements(child)
    if isinstance(value, list):
        for child in value:
            yield from elements(child)


def strings_at(sample: Sample, name: str) -> list[str]:
    return [v for k, v in elements(sample.content) if k == name and isinstance(v, str)]


def text_of(sample: Sample) -> str:
    """The resource as text, attachments opened."""
    inside = [base64.b64decode(data).decode() for data in strings_at(sample, "data")]
    return "\n".join([sample.raw.decode(), *inside])


def canaries_of(sample: Sample) -> list[str]:
    return CANARY.findall(text_of(sample))


def codings_of(sample: Sample) -> set[Coding]:
    found = (v for k, v in elements(sample.content) if k == "coding")
    return {c for v in found for c in msgspec.convert(v, type=list[Coding])}


def luhn_sum(digits: str) -> int:
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(n - 9 if n > 9 else n for n in doubled)


@pytest.mark.parametrize("sample", SAMPLE_LIST, ids=lambda sample: sample.reference)
def test_every_resource_is_valid_fhir(sample: Sample) -> None:
    get_fhir_model_class(sample.head.resource_type).model_validate_json(sample.raw)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_is_a_transaction_that_puts_each_resource_at_its_id(file: Path) -> None:
    get_fhir_model_class("Bundle").model_validate_json(file.read_bytes())
    assert transaction_of(file).type == "transaction"
    puts = [(entry.request.method, entry.request.url) for entry in transaction_of(file).entry]
    assert puts == [("PUT", sample.reference) for sample in samples_of(file)]
    for entry in transaction_of(file).entry:
        assert entry.full_url == f"https://sante.example.org/fhir/{entry.request.url}"


def test_no_resource_is_there_twice() -> None:
    assert [r for r, n in Counter(s.reference for s in SAMPLE_LIST).items() if n > 1] == []


def test_ids_are_allowed_and_not_purely_numeric() -> None:
    ids = [sample.head.id for sample in SAMPLE_LIST]
    assert [i for i in ids if i.isdigit() or not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", i)] == []


@pytest.mark.parametrize("sample", SAMPLE_LIST, ids=lambda sample: sample.reference)
def test_references_point_into_the_same_file_or_an_earlier_one(sample: Sample) -> None:
    for reference in strings_at(sample, "reference"):
        if reference.startswith("#"):
            assert reference[1:] in strings_at(sample, "id")
        else:
            assert BY_REFERENCE[reference].file <= sample.file


def test_attachment_addresses_resolve() -> None:
    urls = [u for s in SAMPLE_LIST for u in strings_at(s, "url") if not u.startswith("http")]
    assert urls
    assert [url for url in urls if url not in BY_REFERENCE] == []


def test_there_is_enough_to_show() -> None:
    clinical = [s for s in SAMPLE_LIST if s.head.resource_type not in SUPPORT]
    assert len(clinical) >= 70
    assert len({s.head.resource_type for s in clinical}) >= 12
    patients = {s.head.id for s in SAMPLE_LIST if s.head.resource_type == "Patient"}
    assert patients == PATIENTS


def test_camille_has_more_than_one_page_of_observations() -> None:
    of_camille = [
        sample
        for sample in SAMPLE_LIST
        if sample.head.resource_type == "Observation" and b'"Patient/camille"' in sample.raw
    ]
    assert len(of_camille) >= 25


def test_decimals_keep_unusual_but_legal_spellings() -> None:
    text = b"".join(sample.raw for sample in SAMPLE_LIST)
    for spelling in (b"0.010", b"2.50E+2", b"1E+2", b"70.0,", b"58.250"):
        assert b'"value": ' + spelling.removesuffix(b",") in text


@pytest.mark.parametrize(
    "consent",
    [s for s in SAMPLE_LIST if s.head.resource_type == "Consent"],
    ids=lambda sample: sample.head.id,
)
def test_every_consent_names_policy_scope_and_a_typed_root(consent: Sample) -> None:
    tree = consent.content
    assert isinstance(tree, dict)
    assert tree["policy"]
    assert tree["policyRule"]  # R4 invariant ppc-1
    assert tree["scope"]["coding"][0]["code"] == "patient-privacy"
    assert tree["provision"]["type"] in {"permit", "deny"}


def test_every_patient_but_noe_has_a_consent() -> None:
    consents = [s for s in SAMPLE_LIST if s.head.resource_type == "Consent"]
    subjects = {r for s in consents for r in strings_at(s, "reference") if r.startswith("Patient/")}
    assert subjects == {f"Patient/{patient}" for patient in PATIENTS - {"noe"}}


def test_statuses_of_consents_cover_what_must_not_act() -> None:
    statuses = Counter(
        strings_at(s, "status")[0] for s in SAMPLE_LIST if s.head.resource_type == "Consent"
    )
    assert statuses["active"] >= 6
    assert {"inactive", "draft"} <= set(statuses)


def test_no_canary_is_repeated_or_begins_another() -> None:
    found = sorted(canary for sample in SAMPLE_LIST for canary in canaries_of(sample))
    assert len(found) >= 30
    assert [a for a, b in pairwise(found) if b.startswith(a)] == []


@pytest.mark.parametrize("sample", SAMPLE_LIST, ids=lambda sample: sample.reference)
def test_what_is_labelled_carries_one_canary_and_is_explained(sample: Sample) -> None:
    if sample.labels & PROTECTING:
        assert len(canaries_of(sample)) == 1
    if canaries_of(sample):
        assert f"`{sample.reference}`" in README


def test_each_canary_names_its_resource() -> None:
    named = [(c, s.head.id) for s in SAMPLE_LIST for c in canaries_of(s)]
    assert [pair for pair in named if pair[0] != f"CANARY-{pair[1]}"] == []


def test_shared_resources_carry_no_patient_text() -> None:
    universal = [s for s in SAMPLE_LIST if s.head.resource_type in UNIVERSAL]
    assert [s.reference for s in universal if b"Patient/" in s.raw or canaries_of(s)] == []


def test_document_labels_stand_in_meta_and_in_security_label() -> None:
    for sample in SAMPLE_LIST:
        if sample.head.resource_type == "DocumentReference":
            assert set(sample.head.meta.security) <= codings_of(sample)


class Identifier(msgspec.Struct, frozen=True):
    system: str
    value: str


def identifiers(system: str) -> list[str]:
    found = [v for s in SAMPLE_LIST for k, v in elements(s.content) if k == "identifier"]
    pairs = [i for v in found for i in msgspec.convert(v, type=list[Identifier])]
    return [i.value for i in pairs if i.system == system]


def test_national_identifiers_are_test_identifiers_with_a_correct_key() -> None:
    numbers = identifiers(INS_TEST)
    assert len(numbers) == len(PATIENTS)
    assert {number[5:10] for number in numbers} == {"99999"}  # a place that does not exist
    assert [n for n in numbers if int(n[13:]) != 97 - int(n[:13]) % 97] == []


def test_professional_and_organisation_numbers_are_fictitious() -> None:
    rpps = identifiers("https://rpps.esante.gouv.fr")
    finess = identifiers("https://finess.esante.gouv.fr")
    assert rpps
    assert finess
    assert {number[:5] for number in rpps} == {"99700"}
    assert {number[:5] for number in finess} == {"69999"}
    assert [n for n in rpps + finess if luhn_sum(n) % 10] == []


def test_telephones_addresses_and_names_belong_to_nobody() -> None:
    text = "\n".join(text_of(sample) for sample in SAMPLE_LIST)
    phones = re.findall(r"\+33[ \d]+", text)
    assert phones
    # the ranges which the French regulator keeps for works of fiction
    assert [p for p in phones if not p.startswith(("+33 1 99 00", "+33 6 39 98"))] == []
    mails = re.findall(r"[\w.-]+@[\w.-]+", text)
    assert [mail for mail in mails if not mail.endswith("example.org")] == []
    assert {code for s in SAMPLE_LIST for code in strings_at(s, "postalCode")} == {"00100"}
    patients = [s for s in SAMPLE_LIST if s.head.resource_type == "Patient"]
    assert [s.head.id for s in patients if not strings_at(s, "family")[0].endswith("-Test")] == []


def test_there_is_a_claim_set_for_everyone_in_the_demo() -> None:
    assert {file.stem for file in TOKENS} >= PEOPLE


@pytest.mark.parametrize("file", TOKENS, ids=lambda file: file.stem)
def test_claim_sets_name_people_of_the_samples(file: Path) -> None:
    claims = claims_of(file)
    assert claims.fhir_user in BY_REFERENCE
    assert claims.iss == "https://idp.example.org"
    assert claims.aud == "http://127.0.0.1:8080/fhir"
    assert bool(claims.patient) == claims.scope.startswith("patient/")
    assert not claims.patient or claims.patient in PATIENTS


def test_claim_sets_differ_in_their_token_id() -> None:
    assert len({claims_of(file).jti for file in TOKENS}) == len(TOKENS)


@pytest.mark.parametrize(
    "file",
    [f for f in TOKENS if claims_of(f).scope.startswith("user/")],
    ids=lambda file: file.stem,
)
def test_role_and_organisation_in_the_token_are_those_of_the_record(file: Path) -> None:
    claims = claims_of(file)
    iua = claims.extensions.ihe_iua
    role = BY_REFERENCE[f"PractitionerRole/{claims.sub}"]
    assert claims.fhir_user in strings_at(role, "reference")
    assert set(iua.subject_role) <= codings_of(role)
    (employer,) = [r for r in strings_at(role, "reference") if r.startswith("Organization/")]
    assert iua.subject_organization_id in strings_at(BY_REFERENCE[employer], "value")
    assert iua.subject_organization in strings_at(BY_REFERENCE[employer], "name")
