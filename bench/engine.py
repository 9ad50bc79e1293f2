"""The pure core alone: decision, and the filter over a synthetic population: `python -m bench.engine`.

The population is looked for in `../shared/data/synthea` beside the checkout, or in the file named by `--population`
(gzipped NDJSON of R4 Bundles, as Synthea writes them); without it that part is left out, saying so.
"""

import argparse
import functools
import gzip
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from proxy.decision.case import Case, compile_policies, open_case
from proxy.decision.decide import Decider, decide_resource
from proxy.facts.directive import directive_of
from proxy.facts.model import ALWAYS, Actor, ActorClosure, Facts, Membership, PatientFacts
from proxy.fhir.bundle import OutEntry, bundle_of, frame_of
from proxy.fhir.coding import Coding
from proxy.fhir.definitions import definitions_of
from proxy.fhir.envelope import Envelope
from proxy.fhir.reader import EnvelopeReader
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load

ROOT = Path(__file__).resolve().parent.parent
POPULATION = ROOT.parent / "shared/data/synthea/synthea-r4-100.bundles.ndjson.gz"
ZONE = ZoneInfo("Europe/Paris")
NOW = 1_790_000_000.0
PHYSICIAN = Coding("http://terminology.hl7.org/CodeSystem/practitioner-role", "doctor")
DR = "Practitioner/dr"


def best(work: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of five rounds, per call."""
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(repeat):
            work()
        rounds.append((time.perf_counter() - started) / repeat)
    return min(rounds)


def case() -> Case:
    """A care-team physician searching under policies/baseline."""
    compiled = compile_policies(load(ROOT / "policies/baseline"))
    principal = Principal(
        "https://idp.example.org", "dr", "bench", "t", PrincipalKind.PRACTITIONER, parse_scopes("user/*.rs"), NOW + 60,
        fhir_user=DR, purposes=frozenset({"TREAT"}),
    )  # fmt: skip
    closure = ActorClosure(references=frozenset({DR}), roles=frozenset({PHYSICIAN}))
    return open_case(compiled, principal, closure, "search-type", ZONE)


def consent(patient: str, number: int, actor: str | None = None) -> dict[str, object]:
    """A Consent that permits; naming an actor where one is given."""
    provision: dict[str, object] = {"type": "permit"}
    if actor:
        role = {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                    "code": "IRCP",
                }
            ]
        }
        provision["actor"] = [{"role": role, "reference": {"reference": actor}}]
    return {
        "resourceType": "Consent", "id": f"c{number}", "meta": {"versionId": "1"}, "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": patient}, "policyRule": {"coding": [{"code": "OPTIN"}]}, "provision": provision,
    }  # fmt: skip


def facts(patient: str, consents: int) -> Facts:
    """One patient with this many Consents: one that permits, the others for other professionals."""
    written = [consent(patient, 0)] + [
        consent(patient, n, f"Practitioner/other{n}") for n in range(1, consents)
    ]
    directives = tuple(directive_of(one, "4.0.1", ZONE) for one in written)
    team = Membership("care-team", Actor(reference=DR), ALWAYS, "CareTeam/t")
    return Facts(ActorClosure(), NOW, {patient: PatientFacts(patient, directives, (team,))})


def median(works: Iterable[Callable[[], object]]) -> float:
    """Seconds that one of them takes, each done once."""
    return statistics.median(_timed(work) for work in works)


def _fresh(opened: Case, envelope: Envelope, known: Facts) -> None:
    opened.kept.clear()
    decide_resource(opened, envelope, known)


def _anew(known: Facts) -> Facts:
    """The same facts, as if they had just been gathered: nothing that was compiled from them is found again."""
    anew = {
        one.patient: PatientFacts(one.patient, (*(one.directives or ()),), one.memberships)
        for one in known.patients.values()
    }
    return Facts(known.closure, known.now, anew)


def _new_caller(opened: Case) -> Case:
    closure = replace(opened.closure)
    return open_case(opened.compiled, opened.principal, closure, opened.interaction, opened.zone)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that one decision takes.

    `first`: on facts that nobody asked yet; `new_caller`: asked before, by others; `fresh`: by this caller, about
    something else; `memoised`: about the same. `gathering`: what is worked out when the facts are made.
    """

    first: float
    new_caller: float
    fresh: float
    memoised: float
    gathering: float

    @property
    def compiling(self) -> float:
        """What is paid once for the facts, in all."""
        return self.gathering + max(0.0, self.first - self.new_caller)


def cost_of(opened: Case, envelope: Envelope, known: Facts) -> Cost:
    """What a decision costs under these facts."""
    decide = functools.partial(_fresh, opened, envelope)
    decide(known)
    callers = [_new_caller(opened) for _ in range(100)]
    return Cost(
        first=median([functools.partial(decide, _anew(known)) for _ in range(30)]),
        new_caller=median([functools.partial(_fresh, one, envelope, known) for one in callers]),
        fresh=median([functools.partial(decide, known)] * 2000),
        memoised=best(functools.partial(decide_resource, opened, envelope, known), 2000),
        gathering=median([functools.partial(_anew, known)] * 30),
    )


def decisions() -> None:
    """Prints what one decision costs, memoised and fresh, by the number of Consents, and what is paid once for the facts."""
    opened = case()
    reader = EnvelopeReader(definitions_of("4.0.1").resource_types, (), opened.compiled.wanted)
    raw = b'{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/p"},"code":{"coding":[{"code":"1"}]}}'
    envelope = reader.read(raw)
    costs = {}
    for consents in (1, 10, 50, 1000):
        cost = costs[consents] = cost_of(opened, envelope, facts("Patient/p", consents))
        print(
            f"decision, {consents:5} Consents: memoised {cost.memoised * 1e6:5.2f} us, fresh {cost.fresh * 1e6:6.1f} us (median), "
            f"for a new caller {cost.new_caller * 1e6:6.1f} us; compiled once for the facts {cost.compiling * 1e6:8.1f} us"
        )
    print(f"fresh, 50 Consents: {costs[50].fresh * 1e6:.1f} us (budget 50 us, median)")
    print(
        f"fresh, 1,000 Consents against 10: {costs[1000].fresh / costs[10].fresh:.2f} x (budget 2 x); "
        f"for a new caller {costs[1000].new_caller / costs[10].new_caller:.2f} x"
    )


_URN = re.compile(rb"urn:uuid:[0-9a-f-]{36}")


def _named(names: dict[bytes, bytes], found: re.Match[bytes]) -> bytes:
    return names.get(found[0], found[0])


def population(path: Path) -> Iterator[tuple[str, bytes]]:
    """(patient, searchset) of each person; `urn:uuid` references become `Type/id`."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            tree = orjson.loads(line)
            names = {
                one[
                    "fullUrl"
                ].encode(): f"{one['resource']['resourceType']}/{one['resource']['id']}".encode()
                for one in tree["entry"]
            }
            text = _URN.sub(functools.partial(_named, names), line)
            resources = [orjson.dumps(one["resource"]) for one in orjson.loads(text)["entry"]]
            patient = next(name for name in names.values() if name.startswith(b"Patient/")).decode()
            entries = b",".join(
                b'{"resource":%b,"search":{"mode":"match"}}' % one for one in resources
            )
            yield patient, b'{"resourceType":"Bundle","type":"searchset","entry":[%b]}' % entries


def filtered(body: bytes, reader: EnvelopeReader, opened: Case, known: Facts) -> tuple[int, int]:
    """Filters one searchset as the gateway does; gives how many entries came and how many left."""
    raws = [entry.resource for entry in frame_of(body, "searchset").entry]
    decide = Decider(opened, known)
    out = [
        OutEntry(envelope.reference, raw, "match", envelope.version)
        for raw, envelope in zip(raws, reader.read_all(raws, body), strict=True)
        if envelope is not None and decide(envelope).permits
    ]
    bundle_of("searchset", out, public_url="https://gateway.example/fhir", links=(), total=len(out))
    return len(raws), len(out)


def filter_alone(path: Path) -> None:
    """Prints what the filter costs over the whole population, beside parsing and writing anew."""
    if not path.exists():
        print(f"filter: no population at {path.name}; left out")
        return
    opened = case()
    reader = EnvelopeReader(definitions_of("4.0.1").resource_types, (), opened.compiled.wanted)
    people = [(body, facts(patient, 1)) for patient, body in population(path)]
    size = sum(len(body) for body, _ in people)
    counts = [filtered(body, reader, opened, known) for body, known in people]
    took = min(
        _timed(lambda: [filtered(body, reader, opened, known) for body, known in people])
        for _ in range(3)
    )
    rewritten = min(
        _timed(lambda: [orjson.dumps(orjson.loads(body)) for body, _ in people]) for _ in range(3)
    )
    came, left = (sum(column) for column in zip(*counts, strict=True))
    print(
        f"filter: {len(people)} people, {came:,} resources, {size / 1e6:.0f} MB, {left:,} permitted: {took * 1000:,.0f} ms, "
        f"{took / came * 1e6:.1f} us an entry; parsing and writing anew (orjson) {rewritten * 1000:,.0f} ms: ratio {took / rewritten:.2f}"
    )


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Prints every figure of the pure core."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--population", type=Path, default=POPULATION)
    arguments, _ = parser.parse_known_args()
    decisions()
    filter_alone(arguments.population)


if __name__ == "__main__":
    main()
