"""The files of an export while they stream: framing faults, failures half-way, bounds, and what the journal holds of them."""

import asyncio
import itertools
import sqlite3
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web
from yarl import URL

from proxy.audit.record import Record
from proxy.decision.case import Case
from proxy.enforcement import export, flow
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.house import House
from proxy.enforcement.lines import MOST_LINES, PART
from proxy.fhir.interaction import Answer, RawRequest
from tests.attacks.test_poison_ways import POISON
from tests.bulk import (
    CONCEALED,
    HIDDEN,
    POLICY,
    RECORDS,
    REFUSES,
    REGISTRY,
    SHARES,
    begun,
    consent,
    files_of,
    lines,
    manifest_of,
    observation,
    registry,
)  # fmt: skip
from tests.stage import Reply, Stage, Upstream, authorization, below_base, bundle, names, world_of
from tests.worlds.twins import told_by

WORLD = (*RECORDS, *CONCEALED)


def line(own: str, patient: str = SHARES, text: str = "") -> bytes:
    note = {"note": [{"text": text}]} if text else {}
    return orjson.dumps(observation(own, patient, **note)) + b"\n"


def giving(upstream: Upstream, pieces: Callable[[], Iterable[bytes]]) -> None:
    """From now on every file of upstream is made of these pieces, each sent on its own."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if request.raw_path.count("/") < 4 or "$export-job" not in request.raw_path:
            return None
        response = web.StreamResponse(headers={"Content-Type": "application/fhir+ndjson"})
        await response.prepare(request)
        try:
            for piece in pieces():
                await response.write(piece)
                await asyncio.sleep(0)
        except ConnectionError:
            return response
        return response

    upstream.override = override


@asynccontextmanager
async def file_of(
    folder: Path, more: str = "", text: str = POLICY
) -> AsyncIterator[tuple[Stage, Upstream, str]]:
    """A stage, and the URL of the Observations of an export."""
    async with registry(folder, *WORLD, text=text, more=more) as (stage, upstream):
        [file] = files_of(
            await manifest_of(stage, await begun(stage, "/$export?_type=Observation"))
        ).values()
        stage.entries()
        yield stage, upstream, file


async def broken_off(stage: Stage, file: str) -> bytes:
    """What comes of a file before the connection breaks off; fails where the file looks whole."""
    url = URL(f"http://127.0.0.1:{stage.port}/fhir{below_base(file)}", encoded=True)
    found: list[bytes] = []

    async def read() -> None:
        async with stage.session.get(url, headers=authorization(REGISTRY)) as answer:
            assert answer.status == 200
            while piece := await answer.content.readany():
                found.append(piece)

    with pytest.raises(aiohttp.ClientError):
        await read()
    return b"".join(found)


async def get(stage: Stage, file: str) -> Reply:
    return await stage.ask(file, REGISTRY)


async def test_a_file_may_be_cut_anywhere(tmp_path: Path) -> None:
    body = (
        b"\n"
        + line("a")
        + b" \r\n"
        + line("h", REFUSES, HIDDEN).replace(b"\n", b"\r\n")
        + line("b", text="é").rstrip(b"\n")
    )
    async with file_of(tmp_path) as (stage, upstream, file):
        for size in (1, 7, 64, len(body)):
            pieces = [body[n : n + size] for n in range(0, len(body), size)]
            giving(upstream, pieces.copy)
            reply = await get(stage, file)
            assert reply.body == line("a") + line("b", text="é")


FAULTS: dict[str, bytes] = {
    "another type": orjson.dumps({"resourceType": "Patient", "id": SHARES}) + b"\n",
    "a bundle": orjson.dumps(
        {"resourceType": "Bundle", "entry": [{"resource": observation("x", REFUSES)}]}
    )
    + b"\n",
    "two on a line": line("b").rstrip() + line("c"),
    "an end of line that is none": line("b").replace(b"\n", b"\r") + line("c"),
    "no text": b'{"resourceType":"Observation","id":"\xff"}\n',
    "an array": b"[" + line("b").rstrip() + b"]\n",
    "html": b"<html>" + HIDDEN.encode() + b"</html>\n",
    "too long": b'{"resourceType":"Observation","x":"' + b"x" * 3000 + b'"}\n',
}


FAULTS |= {
    kind: body.replace(b'"Condition"', b'"Observation"').replace(b"Patient/zed", b"Patient/share") + b"\n"
    for kind, body in POISON.items()
}  # fmt: skip


async def test_a_line_that_is_no_resource_of_the_file_s_type_is_withheld_alone(
    tmp_path: Path,
) -> None:
    async with file_of(tmp_path, "export: {line_bytes: 2048}") as (stage, upstream, file):
        giving(upstream, lambda: [line("a"), line("b")])
        clean = await get(stage, file)
        stage.entries()
        for name, fault in FAULTS.items():
            giving(upstream, lambda fault=fault: [line("a"), fault, line("b")])  # type: ignore[misc]
            reply = await get(stage, file)
            assert told_by(reply) == told_by(clean), name
            entries = stage.entries()
            assert [what for entry in entries for what in entry.findings], name
            assert [one.outcome for entry in entries for one in entry.touched].count("withheld") == 1, name  # fmt: skip


async def test_a_file_that_ends_inside_a_line_is_a_failure_and_gives_nothing(
    tmp_path: Path,
) -> None:
    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, lambda: [line("a"), line("b", REFUSES, HIDDEN)[:-20]])
        reply = await get(stage, file)
        assert (reply.status, HIDDEN in reply.text) == (503, False)
        assert stage.entries()[-1].outcome == "failed"


async def test_a_fault_after_lines_have_left_cuts_the_connection(tmp_path: Path) -> None:
    good = [line(f"o{n}", text="x" * 1000) for n in range(3 * MOST_LINES)]
    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, lambda: [*good, line("h", REFUSES, HIDDEN)[:-9]])
        found = await broken_off(stage, file)
        assert 0 < len(found) < sum(map(len, good))
        assert HIDDEN.encode() not in found
        await asyncio.sleep(0.2)
        entries = stage.entries()
        assert entries[-1].outcome == "failed"
        assert entries[-1].actor.client_id == "registry"


async def test_a_line_that_cannot_be_judged_is_withheld_alone(tmp_path: Path) -> None:
    odd = b'{"resourceType":"Observation","id":"odd","status":"final","subject":"Patient/share"}\n'
    subject = b'"subject":{"reference":"Patient/share"}'
    twice = line("t").replace(subject, subject + b"," + subject)
    nameless = line("n").replace(b'"id":"n",', b"")
    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, lambda: [line("a"), odd, twice, nameless, line("b")])
        assert (await get(stage, file)).body == line("a") + line("b")


async def test_where_a_part_ends_depends_on_what_leaves_alone(tmp_path: Path) -> None:
    shown = [line(f"o{n}", text="x" * 300) for n in range(600)]
    hidden = [line(f"h{n}", REFUSES, HIDDEN * 30) for n in range(400)]
    mixed = [one for n, one in enumerate(shown) for one in ([one, hidden[n]] if n < 400 else [one])]
    told = []
    for number, every in enumerate((shown, mixed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with file_of(folder) as (stage, upstream, file):
            giving(upstream, every.copy)
            request = f"GET /fhir{below_base(file)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            token = authorization(REGISTRY)["Authorization"]
            heard = await stage.raw(f"{request}Authorization: {token}\r\n\r\n".encode(), 20)
            told.append(chunks(heard.partition(b"\r\n\r\n")[2]))
    assert told[0] == told[1]
    assert told[0][:2] == [PART, PART]
    assert sum(told[0]) == sum(map(len, shown))


def chunks(wire: bytes) -> list[int]:
    """The sizes of the chunks of a body (RFC 9112 §7.1), the last one last."""
    sizes = []
    while wire:
        size, _, rest = wire.partition(b"\r\n")
        sizes.append(int(size, 16))
        wire = rest[sizes[-1] + 2 :]
    return sizes


async def test_no_journal_entry_grows_with_the_file(tmp_path: Path) -> None:
    every = [line(f"o{n}", REFUSES if n % 10 == 0 else SHARES) for n in range(5 * MOST_LINES + 3)]
    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, lambda: [b"".join(every)])
        reply = await get(stage, file)
        entries = stage.entries()
        assert len(lines(reply)) == len(names(entries, "disclosed"))
        assert len(names(entries, "disclosed")) + len(names(entries, "withheld")) == len(every)
        assert len(entries) == 6 + 1  # one for the request itself
        assert max(sum(len(t.references) for t in one.touched) for one in entries) == MOST_LINES
        assert {one.request_id for one in entries} == {reply.headers["x-request-id"]}
        assert {one.interaction for one in entries} == {"export"}


async def test_nothing_leaves_that_the_journal_does_not_hold(tmp_path: Path) -> None:
    """The journal stops half-way: what has left is in it, and the client sees no whole file."""
    every = [line(f"o{n}", text="x" * 2000) for n in range(10 * MOST_LINES)]
    async with file_of(tmp_path) as (stage, upstream, file):
        stop = sqlite3.connect(tmp_path / "journal.db")
        number = stop.execute("SELECT max(seq) FROM entry").fetchone()[0] + 4
        stop.execute(
            f"CREATE TRIGGER full BEFORE INSERT ON entry WHEN (SELECT max(seq) FROM entry) >= {number}"  # noqa: S608
            " BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
        )
        stop.commit()
        giving(upstream, lambda: every)
        found = await broken_off(stage, file)
        stop.execute("DROP TRIGGER full")
        stop.commit()
        stop.close()
        left = [orjson.loads(one)["id"] for one in found.splitlines() if one.endswith(b"}")]
        recorded = {one.partition("/")[2] for one in names(stage.entries(), "disclosed")}
        assert 0 < len(left) < len(every)
        assert set(left) <= recorded


async def test_a_file_whose_first_entry_cannot_be_written_is_not_begun(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (stage, _upstream, file):
        stop = sqlite3.connect(tmp_path / "journal.db")
        stop.execute(
            "CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        stop.commit()
        reply = await get(stage, file)
        assert (reply.status, b"Observation" in reply.body) == (503, False)
        stop.execute("DROP TRIGGER full")
        stop.commit()
        stop.close()
        for _ in range(6):  # every place was given back
            assert (await get(stage, file)).status == 200


async def test_a_client_that_does_not_read_stops_the_reading_upstream(tmp_path: Path) -> None:
    written = 0

    def pieces() -> Iterable[bytes]:
        nonlocal written
        for n in range(60_000):
            written += 1
            yield line(f"o{n}", text="x" * 1000)

    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, pieces)
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        token = authorization(REGISTRY)["Authorization"]
        writer.write(
            f"GET /fhir{below_base(file)} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        before = -1
        for _ in range(40):
            await asyncio.sleep(0.25)
            if written == before:
                break
            before = written
        assert written < 30_000
        writer.close()
        for _ in range(40):  # and the place is free again
            await asyncio.sleep(0.05)
        giving(upstream, lambda: [line("a")])
        for _ in range(5):
            assert (await get(stage, file)).status == 200


async def test_only_so_many_files_are_read_at_once(tmp_path: Path) -> None:
    async with file_of(tmp_path, "export: {concurrent: 0}") as (stage, _, file):
        reply = await get(stage, file)
        assert (reply.status, "retry-after" in reply.headers) == (503, True)


async def test_warnings_stand_at_the_head_of_the_file(tmp_path: Path) -> None:
    warned = POLICY.replace(
        "    redact: {remove: [Patient.telecom]}\n",
        "    redact: {remove: [Patient.telecom]}\n    warn: For the registry alone\n",
    )
    async with file_of(tmp_path, text=warned) as (stage, upstream, file):
        reply = await get(stage, file)
        assert "For the registry alone" in reply.headers["warning"]
        giving(upstream, lambda: [line("h", REFUSES)])
        alike = await get(stage, file)
        assert (alike.headers["warning"], alike.body) == (reply.headers["warning"], b"")


async def test_a_file_needs_chunks_to_have_an_end(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (stage, _, file):
        token = authorization(REGISTRY)["Authorization"]
        wire = f"GET /fhir{below_base(file)} HTTP/1.0\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
        try:
            heard = await stage.raw(wire.encode())
        except ConnectionError:
            heard = b""
        assert b"Observation" not in heard


@pytest.mark.parametrize(
    "header", ["Range: bytes=100-", "If-Range: x", "Accept-Encoding: gzip, br, zstd"]
)
async def test_a_file_is_whole_and_uncompressed_whatever_is_asked(
    tmp_path: Path, header: str
) -> None:
    async with file_of(tmp_path) as (stage, upstream, file):
        name, _, value = header.partition(": ")
        reply = await stage.ask(file, REGISTRY, headers={name: value})
        assert (reply.status, reply.headers.get("content-encoding")) == (200, None)
        assert len(lines(reply)) == 2
        assert not any(
            name.lower() in call.headers and call.headers[name.lower()] == value
            for call in upstream.calls
        )


async def test_a_compressed_file_of_upstream_is_not_read(tmp_path: Path) -> None:
    async with file_of(tmp_path) as (stage, upstream, file):

        async def packed(request: web.BaseRequest) -> web.StreamResponse | None:
            if request.raw_path.count("/") < 4 or "$export-job" not in request.raw_path:
                return None
            headers = {"Content-Type": "application/fhir+ndjson", "Content-Encoding": "deflate"}
            return web.Response(body=zlib.compress(line("a") * 10), headers=headers)

        upstream.override = packed
        assert (await get(stage, file)).status == 503


async def test_a_consent_revoked_while_a_file_streams_hides_the_lines_that_follow(
    tmp_path: Path,
) -> None:
    many = 20 * MOST_LINES
    async with file_of(tmp_path) as (stage, upstream, file):

        def pieces() -> Iterable[bytes]:
            for number in range(many):
                if number == many // 2:
                    denied = (*RECORDS[2:], consent(SHARES, "deny"))
                    upstream.world = world_of(bundle(*denied), samples=False)
                yield line(f"o{number}", text="x" * 500)

        giving(upstream, pieces)
        found = lines(await get(stage, file))
        assert 0 < len(found) <= many // 2


async def test_what_is_not_sent_for_want_of_a_record_is_closed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
        finally:
            closed.append("closed")

    kept = parts()

    async def perform(hearing: Hearing) -> Answer:
        del hearing
        return Answer(200, {}, await anext(kept), kept)

    monkeypatch.setattr(flow, "export", perform)
    async with registry(tmp_path, *RECORDS) as (stage, _):
        stop = sqlite3.connect(tmp_path / "journal.db")
        stop.execute(
            "CREATE TRIGGER full BEFORE INSERT ON entry BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
        stop.commit()
        reply = await stage.ask("/$export-file?_job=x&_type=Patient", REGISTRY)
        assert (reply.status, closed) == (503, ["closed"])
        stop.execute("DROP TRIGGER full")
        stop.commit()
        stop.close()


async def test_a_patient_is_told_of_a_file_once(tmp_path: Path) -> None:
    told = POLICY.replace(
        "    redact: {remove: [Patient.telecom]}\n",
        "    redact: {remove: [Patient.telecom]}\n    notify: [patient]\n",
    )
    async with file_of(tmp_path, text=told) as (stage, upstream, file):
        giving(upstream, lambda: [line(f"o{n}") for n in range(3 * MOST_LINES)])
        for _ in range(2):
            await get(stage, file)
            notices = [(n.recipient, n.patient) for one in stage.entries() for n in one.notices]
            assert notices == [("patient", f"Patient/{SHARES}")]


async def test_a_line_whose_warning_was_not_given_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = POLICY.replace(
        "    redact: {remove: [Patient.telecom]}\n", "    warn: For the registry alone\n"
    )

    def nothing(case: Case) -> frozenset[str]:
        del case
        return frozenset()

    async with file_of(tmp_path, text=warned) as (stage, _, file):
        assert (await get(stage, file)).status == 200
        monkeypatch.setattr(export, "conveyed", nothing)
        assert (await get(stage, file)).status == 503


async def test_a_file_that_takes_too_long_breaks_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, passed = House.record_of, itertools.count(step=3000)

    def later(self: House, raw: RawRequest) -> Record:
        record = made(self, raw)
        record.recorded += next(passed)
        return record

    async with file_of(tmp_path) as (stage, upstream, file):
        giving(upstream, lambda: [line(f"o{n}") for n in range(10)])
        assert (await get(stage, file)).status == 200
        monkeypatch.setattr(House, "record_of", later)
        assert (await get(stage, file)).status == 200  # 3000 s after it was begun
        giving(upstream, lambda: [line(f"o{n}") for n in range(3 * MOST_LINES)])
        assert (await get(stage, file)).status == 503
