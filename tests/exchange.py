"""Golden conversations: the client says, upstream hears, upstream says, the client hears, the journal says.

A conversation is an item of `exchanges/*.yaml`:

    about: one sentence
    who: a person of fhir-samples/tokens, or claims {like: person, …}, or {header: text}, or null
    request: GET Patient/camille            # or {method, target, headers, body}
    upstream: {…}                           # a fault, see `Fault`; such a conversation needs the scripted upstream
    extra: [resources]                      # that upstream also holds; likewise
    pack: us-part2                          # the policies in force, if not baseline
    want: {…}                               # see `Want`

Several people may stand in `who`: each has the same conversation. In every conversation, asked for or not: one request
makes exactly one journal entry, and no text beginning with CANARY- leaves, unless `want.shows` names it.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import orjson
import yaml
from aiohttp import web

from tests.stage import CANARY, Json, Reply, Stage, Upstream, names

HERE = Path(__file__).parent / "exchanges"
PLAIN = {"accept": "application/fhir+json", "accept-encoding": "identity"}
UNEQUAL = frozenset({"date", "x-request-id"})
"""Headers in which two equal answers differ."""


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request, in full."""

    target: str
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What upstream answers instead: to data requests whose target matches `at`; look-ups of facts stay sound.

    `body` is text, or JSON that is written. `break_off`: the connection is closed after the given bytes, before any
    if there are none. `loop`: every page links to a next one. `$UPSTREAM` in a text is its base URL.
    """

    at: str
    status: int = 200
    type: str = "application/fhir+json"
    headers: dict[str, str] = {}
    body: Any = None
    break_off: bool = False
    times: int = 1000


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the journal says."""

    outcome: Literal["permitted", "denied", "failed"] | None = None
    refusal: str | None = None
    disclosed: list[str] | None = None
    redacted: list[str] | None = None
    withheld: list[str] | None = None
    notices: list[tuple[str, str, str]] | None = None
    """(recipient, patient, why)."""
    warnings: list[str] | None = None
    reason: str | None = None
    """A rule or Consent that some decision names."""


class Want(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the client hears, and what else is so. What is not said is not asked."""

    status: int = 200
    headers: dict[str, str | None] = {}
    ids: list[str] | None = None
    """`Type/id` of all entries, in order."""
    holds: list[str] | None = None
    """`Type/id` of some entries."""
    lacks: list[str] | None = None
    """`Type/id` that are no entries."""
    total: int | None = None
    next: bool | None = None
    body: Json | None = None
    """Part of the body: objects by key, arrays in full."""
    without: list[str] | None = None
    """Keys that the body has not."""
    same_as: str | None = None
    """Another target of the same kind, which gives the same status, headers and body."""
    untouched: bool = False
    """The body is byte for byte what upstream gives for the same target; in a Bundle, every resource is."""
    shows: list[str] = []
    """Texts that occur in the body."""
    hides: list[str] = []
    """Texts that occur neither in the body nor in a header."""
    audit: Audit | None = None
    upstream_calls: Literal["none", "facts", "some"] | None = None
    """`none`: not even a fact about the caller was looked up; `facts`: nothing but facts."""


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One conversation."""

    about: str
    request: str | Asked | list[str | Asked]
    who: Any = None
    pack: str = "baseline"
    needs_export: bool = False
    """Whether upstream must offer Bulk Data Access."""
    """The policies in force, a folder of `policies`."""
    pending: str = ""
    """Why it is known not to hold yet; it must then fail."""
    upstream: list[Fault] = []
    extra: list[Json] = []
    want: Want = Want()

    @property
    def scripted(self) -> bool:
        """Whether it needs an upstream that does as it is told."""
        return bool(self.upstream or self.extra)

    @property
    def portable(self) -> bool:
        """Whether it may be had in front of any server that holds the samples."""
        return not self.scripted and self.pack == "baseline" and not self.needs_export

    def asked(self) -> list[Asked]:
        """Its requests."""
        said = self.request if isinstance(self.request, list) else [self.request]
        return [_asked(one) for one in said]

    def people(self) -> list[Any]:
        """Who has it."""
        return self.who if isinstance(self.who, list) else [self.who]


def _asked(said: str | Asked) -> Asked:
    if isinstance(said, Asked):
        return said
    method, _, target = said.partition(" ")
    return Asked(target, method)


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of one person of a conversation."""

    exchange: Exchange
    asked: Asked
    who: Any


def conversations() -> Iterator[tuple[str, Turn]]:
    """Every turn of every file, with a name."""
    for path in sorted(HERE.glob("*.yaml")):
        told = msgspec.convert(yaml.safe_load(path.read_text()), list[Exchange])
        for exchange in told:
            for number, (asked, who) in enumerate(
                [(asked, who) for asked in exchange.asked() for who in exchange.people()], 1
            ):
                several = len(exchange.asked()) * len(exchange.people()) > 1
                suffix = f" ({number})" if several else ""
                yield f"{path.stem}: {exchange.about}{suffix}", Turn(exchange, asked, who)


async def run(turn: Turn, stage: Stage, upstream: Upstream | None, ordered: bool = True) -> None:
    """Has one turn and compares. `upstream` is None where it cannot be looked into; `ordered`: it keeps its order."""
    if upstream is not None:
        upstream.override = _faults(turn.exchange.upstream, upstream.url)
        upstream.calls.clear()
    stage.entries()
    reply = await _ask(turn, stage)
    entries = stage.entries()
    assert len(entries) == 1, f"{len(entries)} journal entries"
    if upstream is not None:
        _compare_calls(turn.exchange.want, upstream)
        upstream.override = None
    await _compare(turn, reply, stage, ordered)
    _compare_audit(turn.exchange.want.audit or Audit(), entries[0])
    assert entries[0].status == reply.status


async def _ask(turn: Turn, stage: Stage, target: str | None = None) -> Reply:
    asked = turn.asked
    return await stage.ask(
        asked.target if target is None else target,
        turn.who,
        asked.method,
        asked.headers,
        asked.body.encode() or None,
    )


async def _compare(turn: Turn, reply: Reply, stage: Stage, ordered: bool) -> None:
    want = turn.exchange.want
    assert reply.status == want.status, reply.body[:500]
    for name, value in want.headers.items():
        assert reply.headers.get(name) == value, name
    _compare_entries(want, reply, ordered)
    _compare_body(want, reply)
    if want.same_as is not None:
        assert visible(reply) == visible(await _ask(turn, stage, want.same_as))
        stage.entries()
    if want.untouched:
        await _compare_bytes(turn, reply, stage, ordered)


def _compare_entries(want: Want, reply: Reply, ordered: bool) -> None:
    if want.ids is not None:
        order = list if ordered else sorted
        assert order(reply.ids) == order(want.ids)
    assert set(want.holds or ()) <= set(reply.ids if want.holds else ())
    assert set(want.lacks or ()).isdisjoint(reply.ids if want.lacks else ())
    if want.total is not None:
        assert reply.json.get("total") == want.total
    if want.next is not None:
        assert (reply.next is not None) == want.next


def _compare_body(want: Want, reply: Reply) -> None:
    if want.body is not None:
        assert part_of(want.body, reply.json), reply.body[:2000]
    for key in want.without or ():
        assert key not in reply.json
    for text in want.shows:
        assert text in reply.body.decode()
    for text in want.hides:
        assert text not in reply.text
    shown = set(re.findall(CANARY + r"[\w-]+", reply.text))
    assert shown <= set(want.shows), "what is hidden has leaked"


async def _compare_bytes(turn: Turn, reply: Reply, stage: Stage, ordered: bool) -> None:
    """The very bytes that upstream gives, asked directly; in its order where the client asks for one."""
    ordered = ordered and "_sort=" in turn.asked.target
    url = f"{stage.upstream_url}/{turn.asked.target.lstrip('/')}"
    async with stage.session.get(url, headers=PLAIN) as answer:
        original = await answer.read()
    if reply.json["resourceType"] != "Bundle":
        assert reply.body == original
        return
    originals = [bytes(one) for one in resources_of(original)]
    given = [bytes(one) for one in resources_of(reply.body)]
    assert (given if ordered else sorted(given)) == (originals if ordered else sorted(originals))


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []


def resources_of(bundle: bytes) -> list[msgspec.Raw]:
    """The raw resources of a Bundle."""
    return [entry.resource for entry in msgspec.json.decode(bundle, type=_Bundle).entry]


def visible(reply: Reply) -> tuple[int, Mapping[str, str], bytes]:
    """What a client can tell answers apart by."""
    headers = {name: value for name, value in reply.headers.items() if name not in UNEQUAL}
    return reply.status, headers, reply.body


def part_of(wanted: object, found: object) -> bool:
    """Whether everything wanted is there: objects by key, everything else in full."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(key in found and part_of(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(part_of, wanted, found))
    return wanted == found


def _compare_audit(want: Audit, entry: Any) -> None:
    for field in ("outcome", "refusal"):
        expected = getattr(want, field)
        assert expected is None or getattr(entry, field) == expected, entry
    for outcome in ("disclosed", "redacted", "withheld"):
        expected = getattr(want, outcome)
        assert expected is None or sorted(names([entry], outcome)) == sorted(expected), (
            entry.touched
        )
    if want.notices is not None:
        assert [(n.recipient, n.patient, n.why) for n in entry.notices] == want.notices
    if want.warnings is not None:
        assert list(entry.warnings) == want.warnings
    if want.reason is not None:
        sources = [source for one in entry.decisions for _, _, source, _ in one.reasons]
        assert any(source.startswith(want.reason) for source in sources), sources


_FACTS = re.compile(
    r"/fhir/(PractitionerRole|Practitioner|Organization|CareTeam|Consent|RelatedPerson|Group|Patient)\?[^?]*_count=500$"
)


def _compare_calls(want: Want, upstream: Upstream) -> None:
    data = [call for call in upstream.calls if not _FACTS.match(call.target)]
    match want.upstream_calls:
        case "none":
            assert not upstream.calls
        case "facts":
            assert not data
        case "some":
            assert data
        case None:
            pass


def _faults(faults: list[Fault], url: str) -> Any:
    """What upstream does instead of answering soundly; None where it is sound."""
    if not faults:
        return None
    left = {id(fault): fault.times for fault in faults}

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        for fault in faults:
            is_fact = _FACTS.match(request.raw_path)
            if not is_fact and left[id(fault)] and re.search(fault.at, request.raw_path):
                left[id(fault)] -= 1
                return await _failed(fault, request, url)
        return None

    return override


async def _failed(fault: Fault, request: web.BaseRequest, url: str) -> web.StreamResponse:
    text = fault.body if isinstance(fault.body, str) else orjson.dumps(fault.body).decode()
    body = b"" if fault.body is None else _bytes_of(text.replace("$UPSTREAM", url), fault.type)
    headers = {k: v.replace("$UPSTREAM", url) for k, v in fault.headers.items()}
    if fault.type:
        headers["Content-Type"] = fault.type
    if not fault.break_off:
        return web.Response(status=fault.status, headers=headers, body=body)
    response = web.StreamResponse(
        status=fault.status, headers={**headers, "Content-Length": str(len(body) + 100)}
    )
    if body:
        await response.prepare(request)
        await response.write(body)
        await asyncio.sleep(0)
    if request.transport is not None:
        request.transport.close()
    return response


def _bytes_of(text: str, media_type: str) -> bytes:
    charset = media_type.partition("charset=")[2]
    return text.encode(charset or "utf-8")
