"""Examinations that serve nobody: `explain` and `lint`, with the connections and policies of a gateway and no listener."""

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from proxy.app.callers import supposer_of
from proxy.app.clock import clock_of
from proxy.app.ground import Ground, secret_for
from proxy.app.house import house_of
from proxy.app.upstream import definitions_for, wires_of
from proxy.audit.entry import Entry
from proxy.decision.case import compile_policies
from proxy.enforcement.rehearsal import Rehearsal, rehearse_all, rehearsed_request
from proxy.errors import CallerError, Finding, UnusableError
from proxy.facts.lint import Linted, lint_consents
from proxy.facts.relationship import Reading
from proxy.policy.load import load
from proxy.settings import Settings


class _NoJournal:
    """A journal in which nothing is written: an examination answers no caller."""

    async def record(self, entry: Entry) -> None:
        """Port `Journal`."""


async def explain(
    settings: Settings, env: Mapping[str, str], claims: Mapping[str, object], line: str
) -> Rehearsal:
    """What a caller with these claims would be answered; `ProxyError` where that cannot be found out."""
    async with AsyncExitStack() as stack:
        ground = await _ground(settings, env, stack)
        house = await house_of(ground, _NoJournal())
        suppose = supposer_of(settings, ground.env, ground.bases, ground.clock)
        with _blaming("--claims"):
            supposed = suppose(claims)
        with _blaming("REQUEST"):
            raw = rehearsed_request(line, house)
        return await rehearse_all(house, supposed, raw)


@contextmanager
def _blaming(argument: str) -> Iterator[None]:
    """Turn what is wrong with an argument into a finding that names it."""
    try:
        yield
    except CallerError as error:
        raise UnusableError(Finding(argument, 1, error.detail)) from None


async def lint(settings: Settings, env: Mapping[str, str], patient: str = "") -> list[Linted]:
    """What becomes of each Consent on the server, or of each of one patient's (`Patient/x`)."""
    async with AsyncExitStack() as stack:
        ground = await _ground(settings, env, stack)
        reading = Reading(settings.zone, ground.bases)
        version = ground.definitions.fhir_version
        return await lint_consents(ground.wires.reader, reading, version, ground.clock(), patient)


async def _ground(settings: Settings, env: Mapping[str, str], stack: AsyncExitStack) -> Ground:
    """What stands before a house is built, as `serve` would build it, without a listener."""
    compiled = compile_policies(load(Path(settings.policies)))
    wires = await wires_of(settings, env, stack)
    definitions = await definitions_for(settings, wires.data)
    own = settings.listen
    stated = f"{'https' if own.tls else 'http'}://{own.host}:{own.port}{own.base_path}"
    public_url = (settings.public_url or stated).rstrip("/")
    return Ground(
        settings,
        secret_for(settings, env),
        clock_of(settings),
        wires,
        definitions,
        compiled,
        public_url,
        env,
    )
