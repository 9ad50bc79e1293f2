"""The ground a house is built on: settings, secrets, clock, journal, connections and policies, before anything listens."""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proxy.app.upstream import Wires
from proxy.audit.journal import SqliteJournal
from proxy.decision.case import CompiledPolicies
from proxy.errors import Finding, OwnError, UnusableError
from proxy.fhir.definitions import Definitions
from proxy.settings import Settings, secret_of


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands before the house is built: settings, secrets, connections, policies, and the URL that clients see."""

    settings: Settings
    secret: bytes
    clock: Callable[[], float]
    wires: Wires
    definitions: Definitions
    compiled: CompiledPolicies
    public_url: str
    env: Mapping[str, str]

    @property
    def bases(self) -> tuple[str, str]:
        """The URLs under which references are our own."""
        return self.public_url, self.wires.base_url


def journal_of(settings: Settings) -> SqliteJournal:
    """The journal that the settings name; `UnusableError` when it cannot be opened."""
    path = Path(settings.audit.journal.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return SqliteJournal(path, writer=uuid.uuid4().hex)
    except OwnError as error:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`audit.journal`: {error.detail}")
        ) from None


_SECRET_LENGTH = 32


def secret_for(settings: Settings, env: Mapping[str, str]) -> bytes:
    """The secret that page links and pseudonyms are made with; made afresh where none is given."""
    if settings.paging.key is None:
        return secrets.token_bytes(_SECRET_LENGTH)
    secret = secret_of(settings.paging.key, env, "paging.key").encode()
    if len(secret) < _SECRET_LENGTH:
        raise UnusableError(
            Finding("gateway.yaml", 1, f"`paging.key` needs at least {_SECRET_LENGTH} characters")
        )
    return secret
