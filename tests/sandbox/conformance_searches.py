"""Conformance cases of search: tables of queries over one population, and what they match, sort and include."""

from urllib.parse import quote

from tests.sandbox.conformance import (
    CASES,
    PROFILE,
    TAG,
    Case,
    Client,
    Json,
    entries,
    get,
    populate,
)

# Searches: query and the names that match, in any order

SEARCHES: list[tuple[str, str]] = [
    ("Patient?_id={p}-ann", "ann"),
    ("Patient?_id={p}-ann,{p}-bob", "ann bob"),
    ("Patient?_id={p}-nobody", ""),
    ("Patient?identifier=urn:conformance:{p}|{p}-ann", "ann"),
    ("Patient?identifier={p}-ann", "ann"),
    ("Patient?identifier=urn:conformance:{p}|", "ann bob"),
    ("Patient?identifier=|{p}-ann", ""),
    ("Patient?identifier=urn:other|{p}-ann", ""),
    ("Patient?gender=female", "ann"),
    ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", "ann"),
    ("Patient?gender=female,male", "ann bob cyd"),
    ("Patient?gender:not=female", "bob cyd"),
    ("Patient?gender=|female", ""),
    ("Patient?deceased=false", "ann bob cyd"),
    ("Patient?deceased=true", ""),
    ("Patient?birthdate=", "ann bob cyd"),
    ("Patient?gender=female&birthdate=1990", ""),
    ("Patient?active=true", "ann"),
    ("Patient?active:missing=true", "bob cyd"),
    ("Patient?active:missing=false", "ann"),
    ("Patient?family=mul", "ann"),
    ("Patient?family=MÜL", "ann"),
    ("Patient?family=ull", ""),
    ("Patient?family:exact=Müller", "ann"),
    ("Patient?family:exact=muller", ""),
    ("Patient?family:contains=ulle", "ann"),
    ("Patient?family=Comma\\, C", "cyd"),
    ("Patient?family=Comma,B", "cyd bob"),
    ("Patient?name=lou", "ann"),
    ("Patient?given=ann,bob", "ann bob"),
    ("Patient?given=ann&given=lou", "ann"),
    ("Patient?given=ann&given=bob", ""),
    ("Patient?birthdate=1980", "ann"),
    ("Patient?birthdate=1980-05", "ann"),
    ("Patient?birthdate=1980-05-17", "ann"),
    ("Patient?birthdate=eq1980-05-18", ""),
    ("Patient?birthdate=ne1980-05-17", "bob cyd"),
    ("Patient?birthdate=gt1980-05-17", "bob cyd"),
    ("Patient?birthdate=ge1980-05-17", "ann bob cyd"),
    ("Patient?birthdate=lt1990-12-01", "ann"),
    ("Patient?birthdate=le1990-12-01", "ann bob"),
    ("Patient?birthdate=sa1985", "bob cyd"),
    ("Patient?birthdate=eb1985", "ann"),
    ("Patient?phone=0102", "ann"),
    ("Patient?email=0102", ""),
    ("Patient?telecom=a@x.example", "ann"),
    ("Patient?address=1 hi", "ann"),
    ("Patient?address-city=lyo", "ann"),
    ("Patient?address-country=FR,DE", "ann"),
    ("Patient?_lastUpdated=gt2000-01-01", "ann bob cyd"),
    ("Patient?_lastUpdated=lt2000-01-01", ""),
    ("Patient?_has:Observation:patient:code=15074-8", "ann"),
    ("Patient?_has:Observation:subject:date=gt2020-05-01", "bob"),
    ("Observation?code=15074-8", "glu"),
    ("Observation?code=http://loinc.org|15074-8", "glu"),
    ("Observation?code=http://loinc.org|", "glu bp"),
    ("Observation?code=http://loinc.org|15074-8,http://loinc.org|85354-9", "glu bp"),
    ("Observation?code:not=15074-8", "bp txt"),
    ("Observation?subject=Patient/{p}-ann", "glu bp"),
    ("Observation?subject={p}-ann", "glu bp"),
    ("Observation?patient={p}-ann", "glu bp"),
    ("Observation?patient=Patient/{p}-ann", "glu bp"),
    ("Observation?subject:Patient={p}-ann", "glu bp"),
    ("Observation?subject:Group={p}-ann", ""),
    ("Observation?subject={url}/Patient/{p}-ann", "glu bp"),
    ("Observation?patient={p}-ann,{p}-bob", "glu bp txt"),
    ("Observation?patient={p}-ann&patient={p}-bob", ""),
    ("Observation?performer:missing=true", "bp txt"),
    ("Observation?encounter={p}-enc", "glu"),
    ("Observation?subject:Patient.name=mul", "glu bp"),
    ("Observation?patient.identifier=urn:conformance:{p}|{p}-bob", "txt"),
    ("Observation?patient.gender=female&code=85354-9", "bp"),
    ("Observation?subject:Patient.organization.name=clinique", "glu bp"),
    ("Observation?date=2020-03", "glu bp"),
    ("Observation?date=2020-03-01", "glu"),
    ("Observation?date=2020", "glu bp txt"),
    ("Observation?date=2020-03-01T10:00:00Z", "glu"),
    ("Observation?date=2020-03-01T11:00:00%2B01:00", "glu"),
    ("Observation?date=ge2020-06-15", "txt"),
    ("Observation?date=gt2020-06-30", ""),
    ("Observation?date=lt2020-03-20", "glu bp"),
    ("Observation?date=sa2020-05-15", "txt"),
    ("Observation?date=eb2020-05-15", "glu bp"),
    ("Observation?date=ge2020-03-01&date=lt2020-04-01", "glu bp"),
    ("Observation?value-quantity=6.3", "glu"),
    ("Observation?value-quantity=gt6|http://unitsofmeasure.org|mmol/L", "glu"),
    ("Observation?value-quantity=6.3||mmol/L", "glu"),
    ("Observation?value-quantity=lt1000", "glu bp"),
    ("Observation?value-quantity=ge120", "bp"),
    ("Observation?value-quantity=6.3|http://unitsofmeasure.org|mg", ""),
    ("Observation?value-string=a te", "txt"),
    ("Observation?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", "glu"),
    ("Observation?_security=R", "glu"),
    ("Observation?_security:not=R", "bp txt"),
    (f"Observation?_profile={PROFILE}", "bp"),
    ("Observation?status=final&subject={p}-bob", "txt"),
    ("Observation?value-quantity=ne6.3", "bp"),
    ("Observation?value-quantity=ap6.5", "glu"),
    ("Observation?subject=Patient/{p}-nobody", ""),
    ("Observation?_id={p}-glu,{p}-txt&patient={p}-ann", "glu"),
    ("Condition?patient={p}-ann", "con"),
    ("Encounter?subject:missing=true", ""),
    ("Patient?general-practitioner=Practitioner/{p}-doc", "bob"),
    ("Patient?organization:missing=true", "bob cyd"),
    ("RiskAssessment?probability=gt0.5", "risk"),
    ("RiskAssessment?probability=lt0.5", ""),
    ("Questionnaire?url=http://example.org/{p}/ask", "ask"),
    ("Questionnaire?url=http://example.org/{p}", ""),
]

# Searches whose order counts

SORTED: list[tuple[str, str]] = [
    ("Patient?_sort=birthdate", "ann bob cyd"),
    ("Patient?_sort=-birthdate", "cyd bob ann"),
    ("Patient?_sort=family", "bob cyd ann"),
    ("Patient?_sort=gender,-birthdate", "ann cyd bob"),
    ("Patient?_sort=_id", "ann bob cyd"),
    ("Observation?_sort=-date&code=15074-8,85354-9&date=lt2020-05", "glu bp"),
]

# Includes: query, matches, included

INCLUDES: list[tuple[str, str, str]] = [
    ("Observation?_id={p}-glu&_include=Observation:subject", "glu", "ann"),
    ("Observation?_id={p}-glu&_include=Observation:subject:Patient", "glu", "ann"),
    ("Observation?_id={p}-glu&_include=Observation:subject:Group", "glu", ""),
    ("Observation?_id={p}-glu&_include=Observation:performer", "glu", "doc"),
    ("Observation?_id={p}-glu&_include=Observation:*", "glu", "ann doc enc"),
    ("Observation?code=15074-8,85354-9&_include=Observation:patient", "glu bp", "ann"),
    (
        "Observation?_id={p}-glu&_include=Observation:subject&_include:iterate=Patient:organization",
        "glu",
        "ann org",
    ),
    ("Patient?_id={p}-ann&_revinclude=Observation:subject", "ann", "glu bp"),
    (
        "Patient?_id={p}-ann&_revinclude=Observation:patient&_revinclude=Condition:patient",
        "ann",
        "glu bp con",
    ),
    ("Patient?_id={p}-cyd&_revinclude=Observation:subject", "cyd", ""),
    (
        "Patient?_id={p}-ann&_include=Patient:organization&_revinclude=Condition:subject",
        "ann",
        "org con",
    ),
]


def named(prefix: str, names: str) -> list[str]:
    return [f"{prefix}-{name}" for name in names.split()]


def within(path: str, client: Client, prefix: str) -> str:
    """A path with its places filled, escaped, and limited to the resources of this prefix."""
    filled = path.replace("{p}", prefix).replace("{url}", client.url)
    return quote(f"{filled}&_tag={TAG}|{prefix}&_count=100", safe=":/?&=,|%")


async def found(client: Client, prefix: str, path: str) -> Json:
    await populate(client, prefix)
    reply = await get(client, within(path, client, prefix))
    assert reply.status == 200, (path, reply.status, reply.body)
    assert reply.json["type"] == "searchset"
    return reply.json


# R5 has no such parameter.
NOT_R5 = {"Observation?value-string=a te"}


def _add_searches() -> None:
    for path, names in SEARCHES:

        async def search(c: Client, p: str, path: str = path, names: str = names) -> None:
            assert sorted(entries(await found(c, p, path))) == sorted(named(p, names))

        CASES.append(Case(f"search {path}", search, r5=path not in NOT_R5))
    for path, names in SORTED:

        async def order(c: Client, p: str, path: str = path, names: str = names) -> None:
            assert entries(await found(c, p, path)) == named(p, names)

        CASES.append(Case(f"order {path}", order))
    for path, matches, others in INCLUDES:

        async def include(
            c: Client, p: str, path: str = path, matches: str = matches, others: str = others
        ) -> None:
            bundle = await found(c, p, path)
            assert sorted(entries(bundle)) == sorted(named(p, matches))
            assert sorted(entries(bundle, "include")) == sorted(named(p, others))

        CASES.append(Case(f"include {path}", include))


_add_searches()
