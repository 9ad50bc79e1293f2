"""The values of the embedded FHIR server: stored versions, requests, answers and failures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

SOFTWARE = "FHIR sandbox (no production server)"
MEDIA_TYPE = "application/fhir+json;charset=UTF-8"
Key = tuple[str, str]
Pairs = tuple[tuple[str, str], ...]
Tree = dict[str, object]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource. `body` is the exact JSON that is served, None for a deletion."""

    type: str
    id: str
    version: int
    updated: str
    """`meta.lastUpdated`, an instant in UTC with milliseconds."""
    method: str
    """POST, PUT, PATCH or DELETE: what made this version."""
    serial: int
    """Place of the resource's first version in the order of creation."""
    body: bytes | None

    @property
    def key(self) -> Key:
        """The type and the id."""
        return self.type, self.id

    @property
    def local(self) -> str:
        """The relative reference, `Patient/1`."""
        return f"{self.type}/{self.id}"

    @property
    def etag(self) -> str:
        """The weak entity tag, `W/"1"`."""
        return f'W/"{self.version}"'

    @property
    def last_modified(self) -> str:
        """The `Last-Modified` header."""
        return format_datetime(datetime.fromisoformat(self.updated).astimezone(UTC), usegmt=True)

    def versioned_url(self, base: str) -> str:
        """Give the URL of this version below a base URL."""
        return f"{base}/{self.type}/{self.id}/_history/{self.version}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A FHIR request below the base path: segments of the path, query pairs, lower-case headers."""

    method: str
    path: tuple[str, ...]
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str = "http://localhost/fhir"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, headers and the exact bytes of the body. `version` is what was read or written."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    version: Version | None = None


class FhirError(Exception):
    """A request that fails: HTTP status, FHIR issue code, and what is wrong."""

    def __init__(self, status: int, code: str, diagnostics: str) -> None:
        super().__init__(diagnostics)
        self.status, self.code, self.diagnostics = status, code, diagnostics


def invalid(diagnostics: str) -> FhirError:
    """Give the failure of a request that is wrong in itself."""
    return FhirError(400, "invalid", diagnostics)


def outcome(severity: str, code: str, diagnostics: str) -> bytes:
    """Write an OperationOutcome with one issue."""
    issue = {"severity": severity, "code": code, "diagnostics": diagnostics}
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def failed(failure: FhirError) -> Answer:
    """Give the answer to a request that failed."""
    return Answer(failure.status, outcome("error", failure.code, failure.diagnostics))
