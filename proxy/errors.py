"""The error tree, and the one table from a refusal to what the client is told.

    ProxyError
    ├── CallerError      the request cannot be served as it stands
    ├── UpstreamError    the FHIR server failed, or its words cannot be used
    │   ├── UnsupportedError  it does not do what it was asked for
    │   └── OversizedError    its answer is larger than is read
    ├── OwnError         the gateway itself could not keep a promise
    └── UnusableError    configuration or policy: refuse to start

The type says whose fault it is. A `Refusal` says what the client hears: status, issue code and text are
constant for each kind (decisions §8), so that an answer never tells more than its kind. `detail` is for
the journal only.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar


class Refusal(Enum):
    """What a request is refused as; the rows of `TELLS`."""

    NO_TOKEN = "no-token"
    BAD_TOKEN = "bad-token"
    MALFORMED = "malformed"
    PARAMETER = "parameter"
    FORBIDDEN = "forbidden"
    PATIENT_REFUSED = "patient-refused"
    NOT_FOUND = "not-found"
    METHOD = "method"
    NOT_ACCEPTABLE = "not-acceptable"
    TOO_LARGE = "too-large"
    MEDIA_TYPE = "media-type"
    NOT_SUPPORTED = "not-supported"
    TOO_COSTLY = "too-costly"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Tell:
    """What the client is told of a refusal: HTTP status, FHIR issue code, constant text."""

    status: int
    code: str
    text: str


TELLS: dict[Refusal, Tell] = {
    Refusal.NO_TOKEN: Tell(401, "login", "authentication is required"),
    Refusal.BAD_TOKEN: Tell(401, "login", "authentication is required"),
    Refusal.MALFORMED: Tell(400, "invalid", "the request cannot be understood"),
    Refusal.PARAMETER: Tell(400, "not-supported", "a parameter is unknown or not allowed here"),
    Refusal.FORBIDDEN: Tell(403, "forbidden", "this interaction is not allowed to this caller"),
    Refusal.PATIENT_REFUSED: Tell(
        403, "forbidden", "this patient's data are not open to this caller"
    ),
    Refusal.NOT_FOUND: Tell(404, "not-found", "no such resource"),
    Refusal.METHOD: Tell(405, "not-supported", "this method is not allowed here"),
    Refusal.NOT_ACCEPTABLE: Tell(406, "not-supported", "only application/fhir+json is served"),
    Refusal.TOO_LARGE: Tell(413, "too-long", "the request is too large"),
    Refusal.MEDIA_TYPE: Tell(415, "not-supported", "this media type is not accepted"),
    Refusal.NOT_SUPPORTED: Tell(501, "not-supported", "this interaction is not supported"),
    Refusal.TOO_COSTLY: Tell(403, "too-costly", "the search is too broad; narrow it"),
    Refusal.UNAVAILABLE: Tell(503, "transient", "the service cannot answer now; try again later"),
}


class ProxyError(Exception):
    """Any error of ours. `refusal` is what the client hears; `detail` is for the journal, without patient data."""

    fault: ClassVar[str] = "gateway"

    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail


class CallerError(ProxyError):
    """The request cannot be served as it stands."""

    fault = "caller"


class UpstreamError(ProxyError):
    """The FHIR server failed, or answered what cannot be used; always `UNAVAILABLE` to the client."""

    fault = "upstream"

    def __init__(self, detail: str) -> None:
        super().__init__(Refusal.UNAVAILABLE, detail)


class UnsupportedError(UpstreamError):
    """The FHIR server does not do at all what it was asked for (405, 501), whatever it holds."""


class OversizedError(UpstreamError):
    """The FHIR server's answer is larger than `upstream.max_body_bytes`: nobody has read what is in it."""


class OwnError(ProxyError):
    """The gateway could not keep a promise: a look-up, the journal or a limit failed."""

    def __init__(self, detail: str) -> None:
        super().__init__(Refusal.UNAVAILABLE, detail)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a file of the operator: printed as `file:line: message`."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class UnusableError(ProxyError):
    """Configuration or policy that cannot be used; the program refuses to start and prints `findings`."""

    fault = "operator"

    def __init__(self, *findings: Finding) -> None:
        super().__init__(Refusal.UNAVAILABLE, "; ".join(map(str, findings)))
        self.findings = findings
