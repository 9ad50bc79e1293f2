"""An upstream that costs next to nothing: prepared answers over a raw asyncio protocol, so that only the proxy is measured.

`python -m bench.upstream`: prints `ready URL`. Answers by path prefix; what it has not prepared is an empty searchset.
The data are made here: one patient with an opt-in Consent and a care team, and searchsets of the sizes that the budgets name.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import uvloop

PATIENTS = 1000
_EMPTY: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": 0, "link": []}


def observation(number: int, patient: str, padding: int) -> dict[str, Any]:
    """One laboratory Observation of about `padding` + 900 bytes."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "2345-7", "display": "Glucose"}],
            "text": "Glucose",
        },
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": "Practitioner/lab"}],
        "effectiveDateTime": "2025-12-01T08:00:00Z",
        "valueQuantity": {
            "value": 5.4,
            "unit": "mmol/l",
            "system": "http://unitsofmeasure.org",
            "code": "mmol/L",
        },
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": f"{7000 + n}-1"}]},
                "valueString": "x" * 60,
            }
            for n in range(4)
        ],
        "note": [{"text": "y" * padding}],
    }


def searchset(resources: list[dict[str, Any]]) -> dict[str, Any]:
    """A complete result of one page."""
    entries = [
        {
            "fullUrl": f"http://upstream/{r['resourceType']}/{r['id']}",
            "resource": r,
            "search": {"mode": "match"},
        }
        for r in resources
    ]
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(entries),
        "link": [],
        "entry": entries,
    }


def consent(patient: str) -> dict[str, Any]:
    """An opt-in Consent for treatment."""
    return {
        "resourceType": "Consent",
        "id": f"c-{patient}",
        "meta": {"versionId": "1"},
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}
            ]
        },
        "provision": {"type": "permit"},
    }


def care_team(patient: str) -> dict[str, Any]:
    """A care team with the one physician who asks."""
    return {
        "resourceType": "CareTeam",
        "id": f"ct-{patient}",
        "status": "active",
        "subject": {"reference": f"Patient/{patient}"},
        "participant": [{"member": {"reference": "Practitioner/dr"}}],
    }


def answers() -> dict[str, bytes]:
    """Prepared bodies by path and query prefix; the longest prefix that fits is taken."""
    many = [f"p{n}" for n in range(PATIENTS)]
    bodies: dict[str, Any] = {
        "/Observation/o1": observation(1, "p0", 900),
        "/Observation?patient=p0&code=100": searchset([observation(n, "p0", 900) for n in range(100)]),
        "/Observation?patient=p0&code=1000": searchset([observation(n, "p0", 900) for n in range(1000)]),
        "/Observation?code=1000": searchset([observation(n, many[n], 900) for n in range(1000)]),
        "/PractitionerRole": searchset([
            {
                "resourceType": "PractitionerRole", "id": "dr", "active": True, "practitioner": {"reference": "Practitioner/dr"},
                "code": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "doctor"}]}],
            }
        ]),
        "/Practitioner?": searchset([{"resourceType": "Practitioner", "id": "dr"}]),
        "/metadata": {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": []}]},
    }  # fmt: skip
    return {
        path.replace("%2F", "/"): json.dumps(body, separators=(",", ":")).encode()
        for path, body in bodies.items()
    }


def about(rtype: str, named: str) -> bytes:
    """Facts about the patients that a look-up names."""
    make: dict[str, Callable[[str], dict[str, Any]]] = {
        "Consent": consent,
        "CareTeam": care_team,
        "Patient": lambda one: {"resourceType": "Patient", "id": one},
    }
    known = {f"p{n}" for n in range(PATIENTS)}
    ids = [
        one.rpartition("/")[2] for one in named.replace("%2F", "/").replace("%2C", ",").split(",")
    ]
    return json.dumps(searchset([make[rtype](one) for one in ids if one in known])).encode()


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a benchmark needs it: requests come whole or in pieces, one after the other."""

    def __init__(self, prepared: dict[str, bytes], counts: dict[str, int]) -> None:
        self._prepared = prepared
        self._counts = counts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers every whole request that has come."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            length = next(
                (
                    int(line[15:])
                    for line in head.lower().split("\r\n")
                    if line.startswith("content-length:")
                ),
                0,
            )
            if len(self._buffer) < end + 4 + length:
                return
            form = self._buffer[end + 4 : end + 4 + length].decode()
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head.split(" ", 2)[1], form)

    def _answer(self, target: str, form: str) -> None:
        path = (
            target.removeprefix("/fhir").replace("%2F", "/").replace("patient=Patient/", "patient=")
        )
        self._counts["all"] = self._counts.get("all", 0) + 1
        body = self._body(path.replace("/_search", "?" + form) if form else path)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)

    def _body(self, path: str) -> bytes:
        if path == "/count":
            return json.dumps(self._counts).encode()
        fitting = [prefix for prefix in self._prepared if path.startswith(prefix)]
        if fitting:
            return self._prepared[max(fitting, key=len)]
        rtype, _, query = path.removeprefix("/").partition("?")
        named = dict(pair.partition("=")[::2] for pair in query.split("&"))
        about_whom = named.get("patient") or named.get("_id")
        if rtype in ("Consent", "CareTeam", "Patient") and about_whom:
            return about(rtype, about_whom)
        return json.dumps(_EMPTY).encode()


async def serve() -> None:
    """Serves until the process is ended."""
    prepared, counts = answers(), dict[str, int]()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(prepared, counts), "127.0.0.1", 0)
    print(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve())
