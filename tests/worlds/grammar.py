"""Requests drawn from the grammar of what is served: types, filters and their modifiers, chains, sort keys, includes, pages, parts."""

from hypothesis import strategies as st

from proxy.fhir.definitions import definitions_of
from proxy.fhir.parameters import MODIFIERS, searchable
from proxy.fhir.search import includable
from tests.worlds.twins import Shape

VERSION = "4.0.1"
TYPES = (
    "Observation", "Observation", "Patient", "Condition", "Encounter", "DocumentReference", "MedicationRequest", "Consent", "Provenance",
    "DiagnosticReport", "Practitioner", "CareTeam", "Task", "Bundle",
)  # fmt: skip
VALUES = {
    "token": ("1003-0", "http://loinc.org|1001-0", "final", "F11.2", "male", "|x", "V"),
    "string": ("a", "noe", "camille", "Elsewhere", "another"),
    "date": ("2026", "ge2026-05-01", "lt2026-05-01", "ne2020", "ap2026-03"),
    "number": ("1", "gt0"),
    "quantity": ("3", "gt5", "le2||mmol/L"),
    "uri": ("urn:x", "http://example.org/x"),
    "missing": ("true", "false"),
    "identifier": ("x", "urn:y|x"),
    "_id": ("run-a0", "seen-0", "noe", "camille", "relabelled", "run-a0,seen-1", "no-such"),
}
REFERENCES = ("Patient/noe", "Patient/camille", "Practitioner/dr-vernay", "Encounter/camille-consultation-2", "Observation/run-a0", "Patient/no-such")  # fmt: skip
DEFINITIONS = definitions_of(VERSION)


@st.composite
def filters(draw: st.DrawFn, rtype: str) -> str:
    """One filter of a type, as a query writes it."""
    name, param = draw(st.sampled_from(sorted(searchable(rtype, VERSION).items())))
    plain = name in ("_id", "_lastUpdated")
    modifier = "" if plain else draw(st.sampled_from(sorted(MODIFIERS[param.kind])))
    key = f"{name}:{modifier}" if modifier else name
    if param.kind == "reference" and not modifier:
        return f"{key}={draw(st.sampled_from(REFERENCES))}"
    values = modifier if modifier in VALUES else "_id" if name == "_id" else param.kind
    return f"{key}={draw(st.sampled_from(VALUES[values]))}"


@st.composite
def chains(draw: st.DrawFn, rtype: str) -> str:
    """One chain forwards, or backwards."""
    links = {name: sorted(to) for name, to in includable(rtype, DEFINITIONS).items() if to}
    back = st.sampled_from([f"Observation:patient:{draw(filters('Observation'))}", f"Encounter:patient:{draw(filters('Encounter'))}"])  # fmt: skip
    if rtype == "Patient" or not links or draw(st.booleans()):
        return f"_has:{draw(back)}"
    name = draw(st.sampled_from(sorted(links)))
    target = draw(st.sampled_from([one for one in links[name] if searchable(one, VERSION)] or ["Patient"]))  # fmt: skip
    return f"{name}:{target}.{draw(filters(target))}"


@st.composite
def results(draw: st.DrawFn, rtype: str) -> str:
    """One result parameter."""
    names = sorted(searchable(rtype, VERSION))
    links = sorted(includable(rtype, DEFINITIONS)) or ["patient"]
    return draw(
        st.sampled_from(
            (
                f"_sort={draw(st.sampled_from(('', '-')))}{draw(st.sampled_from(names))}",
                f"_include={rtype}:{draw(st.sampled_from(links))}",
                f"_revinclude={draw(st.sampled_from(('Observation:encounter', 'Observation:patient', 'Provenance:target', 'Observation:performer')))}",
                f"_total={draw(st.sampled_from(('accurate', 'estimate', 'none')))}",
                f"_summary={draw(st.sampled_from(('true', 'text', 'data', 'count', 'false')))}",
                f"_elements={draw(st.sampled_from(('id', 'code,subject', 'name', 'status')))}",
            )
        )
    )


@st.composite
def requests(draw: st.DrawFn) -> Shape:
    """A search of any shape, or a read."""
    rtype = draw(st.sampled_from(TYPES))
    if draw(st.integers(0, 9)) == 0:
        rest = draw(st.sampled_from(("", "/_history", "/_history/1", "/_history?_count=1")))
        return Shape(f"{rtype}/{draw(st.sampled_from(VALUES['_id'])).partition(',')[0]}{rest}")
    parts = draw(st.lists(st.one_of(filters(rtype), filters(rtype), chains(rtype)), max_size=2))
    parts += draw(st.lists(results(rtype), max_size=2, unique_by=lambda one: one.partition("=")[0]))
    parts.append(f"_count={draw(st.sampled_from((0, 2, 5, 30)))}")
    query = "&".join(parts)
    match draw(st.sampled_from(("GET", "GET", "GET", "HEAD", "POST"))):
        case "POST":
            return Shape(f"{rtype}/_search", "POST", query)
        case method:
            return Shape(f"{rtype}?{query}", method)
