"""Plays the scenario over HTTP, and finds the word for each answer (the words are in `scenario`).

Each answer is held against what the FHIR server itself says, and each 404 against the answer for a resource that does
not exist, header by header and byte by byte.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
import orjson
from yarl import URL

from proxy.demo.scenario import (
    JUSTIFICATION,
    REASON,
    SCENARIO,
    Ceremony,
    Change,
    Person,
    Step,
)
from proxy.errors import UpstreamError

FHIR_JSON = "application/fhir+json"
OK, REFUSED, ABSENT = 200, 403, 404
TIMEOUT_S = 30
_OF_THE_REQUEST = frozenset({"date", "x-request-id"})
"""Headers that differ from one request to the next, whatever is asked."""

Event = Mapping[str, object]
"""An AuditEvent as JSON."""
Grant = Mapping[str, object]
"""A break-glass grant, as the review queue shows it."""
Sign = Callable[[str], str]
"""Gives the bearer token of a claim set by its name in `fhir-samples/tokens/`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the table. A change on the FHIR server has no `person`, and is right when it was taken."""

    part: str
    person: Person | None
    request: str
    expected: str
    outcome: str
    request_id: str = ""
    """By which the journal knows it."""

    @property
    def is_right(self) -> bool:
        """Whether it came out as it should."""
        return self.expected == self.outcome

    def __str__(self) -> str:
        who = self.person.title if self.person else "on the FHIR server"
        return f"{who}: {self.request}: expected `{self.expected}`, got `{self.outcome}`"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


async def play(gateway_url: str, upstream_url: str, sign: Sign) -> list[Outcome]:
    """Play the whole scenario; both URLs are FHIR bases. `aiohttp.ClientError` if one of them does not answer."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        player = _Player(session, gateway_url, upstream_url, sign)
        return [await player.take(part.title, step) for part in SCENARIO for step in part.steps]


@dataclass(frozen=True, slots=True)
class _Player:
    """What the steps are played with."""

    session: aiohttp.ClientSession
    gateway_url: str
    upstream_url: str
    sign: Sign

    async def take(self, part: str, step: Step | Change | Ceremony) -> Outcome:
        """One step of the scenario."""
        if isinstance(step, Change):
            return await self._change(part, step)
        if isinstance(step, Ceremony):
            return await self._perform(part, step)
        return await self._ask(part, step)

    async def _ask(self, part: str, step: Step) -> Outcome:
        request_id = uuid.uuid4().hex
        answer = await self._as(step.person, step.target, request_id)
        outcome = await self._word(step, answer)
        return Outcome(part, step.person, f"GET {step.target}", step.expected, outcome, request_id)

    async def _perform(self, part: str, step: Ceremony) -> Outcome:
        request_id = uuid.uuid4().hex
        headers = {
            "authorization": f"Bearer {self.sign(step.person.token)}",
            "content-type": FHIR_JSON,
            "x-request-id": request_id,
        }
        url = URL(f"{self.gateway_url}/{step.operation}", encoded=True)
        async with self.session.post(url, data=_parameters(step), headers=headers) as answer:
            status = answer.status
            told = orjson.loads(await answer.read()) if status == OK else {}
        names = {one["name"] for one in told.get("parameter", [])}
        word = ("ended" if "ended" in names else "opened") if names else f"status {status}"
        outcome = "refused" if status == REFUSED else word
        request = f"{step.operation} {step.patient}"
        return Outcome(part, step.person, request, step.expected, outcome, request_id)

    async def _change(self, part: str, change: Change) -> Outcome:
        url = f"{self.upstream_url}/{change.consent}"
        consent = orjson.loads((await self._get(url, {})).body)
        body = orjson.dumps({**consent, "status": change.status})
        async with self.session.put(url, data=body, headers={"content-type": FHIR_JSON}) as answer:
            taken = change.status if answer.status == OK else f"status {answer.status}"
        return Outcome(part, None, change.consent, change.status, taken)

    async def _word(self, step: Step, answer: _Answer) -> str:
        """The word for an answer."""
        if answer.status == ABSENT:
            return await self._word_for_absent(step, answer)
        if answer.status != OK:
            return "refused" if answer.status == REFUSED else f"status {answer.status}"
        if "?" in step.target:
            entries = orjson.loads(answer.body).get("entry", [])
            matches = [one for one in entries if one.get("search", {}).get("mode") == "match"]
            return f"{len(matches)} entries"
        return _difference(await self._get(f"{self.upstream_url}/{step.target}", {}), answer)

    async def _word_for_absent(self, step: Step, answer: _Answer) -> str:
        """Whether the same person gets the very same for what certainly does not exist."""
        kind = step.target.partition("/")[0]
        control = await self._as(step.person, f"{kind}/{uuid.uuid4()}", uuid.uuid4().hex)
        return (
            "absent" if _comparable(control) == _comparable(answer) else "status 404, unlike absent"
        )

    async def _as(self, person: Person, target: str, request_id: str) -> _Answer:
        headers = {
            "authorization": f"Bearer {self.sign(person.token)}",
            "x-request-id": request_id,
        }
        return await self._get(f"{self.gateway_url}/{target}", headers)

    async def _get(self, url: str, headers: Mapping[str, str]) -> _Answer:
        async with self.session.get(url, headers={"accept": FHIR_JSON, **headers}) as answer:
            return _Answer(answer.status, dict(answer.headers), await answer.read())


def _parameters(step: Ceremony) -> bytes:
    """The body of a ceremony; the end of a grant needs no reason."""
    given: list[dict[str, object]] = [
        {"name": "patient", "valueReference": {"reference": step.patient}}
    ]
    if step.operation == "$break-glass":
        given += [
            {"name": "reason", "valueCoding": REASON},
            {"name": "justification", "valueString": JUSTIFICATION},
        ]
    return orjson.dumps({"resourceType": "Parameters", "parameter": given})


def _comparable(answer: _Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    headers = [(name.lower(), value) for name, value in answer.headers.items()]
    return (
        answer.status,
        sorted(one for one in headers if one[0] not in _OF_THE_REQUEST),
        answer.body,
    )


def _difference(original: _Answer, answer: _Answer) -> str:
    """What distinguishes an answer from the resource that the FHIR server holds, by its top-level elements."""
    if original.body == answer.body:
        return "whole"
    whole, given = orjson.loads(original.body), orjson.loads(answer.body)
    gone = sorted(set(whole) - set(given))
    other = sorted(name for name in given if name != "meta" and given[name] != whole.get(name))
    words = [f"without {', '.join(gone)}"] if gone else []
    words += [f"with other {', '.join(other)}"] if other else []
    return "; ".join(words) or "written anew"


async def audit_events(upstream_url: str) -> list[Event]:
    """Give all AuditEvents of a FHIR server, page by page; `UpstreamError` if it does not give them."""
    events: list[Event] = []
    url = f"{upstream_url}/AuditEvent?_count=200"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
        while url:
            async with session.get(url, headers={"accept": FHIR_JSON}) as answer:
                if answer.status != OK:
                    raise UpstreamError(f"the AuditEvents cannot be read: status {answer.status}")
                bundle = orjson.loads(await answer.read())
            events += [entry["resource"] for entry in bundle.get("entry", [])]
            links = {link["relation"]: link["url"] for link in bundle.get("link", [])}
            url = links.get("next", "")
    return events


async def queued(admin_url: str, token: str) -> list[Grant]:
    """Give the review queue of break-glass, newest first; `UpstreamError` if a gateway does not give it."""
    headers = {"authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
        session.get(f"{admin_url}/break-glass", headers=headers) as answer,
    ):
        if answer.status != OK:
            raise UpstreamError(f"the review queue cannot be read: status {answer.status}")
        grants: list[Grant] = orjson.loads(await answer.read())["grants"]
    return grants
