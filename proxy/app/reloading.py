"""Hot reload: what changed in the directory of policies comes into force whole, proven and recorded, or not at all.

A broken set never replaces a good one (threats T-207): the last good set stays in force, readiness says that it is degraded,
a metric rises, the log names file and line, and the journal says what was refused. Laws:
1. Half a file is never believed: the same content is read at two looks, and once more after it was loaded.
2. What serves never waits for what is tried: reading, loading and the policy tests run in a thread.
3. The entry that says which policies are in force from now on is durable before they are.
4. Only files are read. Upstream is asked only where the new set needs a kind of search that was not proven at start.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from enum import Enum
from pathlib import Path

import structlog

from proxy.app.answering import Answering
from proxy.app.proving import proven
from proxy.audit.policy_change import changed, refused
from proxy.decision.case import CompiledPolicies, compile_policies
from proxy.errors import OwnError, UnusableError, UpstreamError
from proxy.policy.load import fingerprint
from proxy.wire.admin import Metrics

_LOG = structlog.get_logger("proxy.app")
MOST_SAID = 20
"""Findings in one line of the log; the journal names the first."""


class Result(Enum):
    """What became of a change."""

    LOADED = "loaded"
    UNCHANGED = "unchanged"
    """The files differ, what they say does not."""
    REFUSED = "refused"
    POSTPONED = "postponed"
    """Upstream or the journal failed; it is tried again at the next look."""


class PolicyWatch:
    """Looks at the directory of policies, and puts in force what changed there."""

    def __init__(self, answering: Answering, read: str, metrics: Metrics) -> None:
        self._answering = answering
        self._directory = Path(answering.ground.settings.policies)
        self._settled = self._last = read
        self._metrics = metrics
        self._trouble = ""
        self._same = False
        self._ended = False

    def degraded(self) -> Mapping[str, str]:
        """What the admin listener tells of the policies, beside readiness."""
        trouble = "the policies are no longer watched; restart" if self._ended else self._trouble
        return {"policies": trouble} if trouble else {}

    async def run(self, stop: asyncio.Event, pause_s: float) -> None:
        """Look until `stop`."""
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_s)
                if not stop.is_set():
                    await self.look()
        finally:
            self._ended = not stop.is_set()
            if self._ended:
                _LOG.error("policies are no longer watched", directory=str(self._directory))

    async def look(self) -> Result | None:
        """Look once; None where nothing is new, or may still be being written."""
        before, self._last = self._last, await asyncio.to_thread(fingerprint, self._directory)
        if self._last == self._settled or self._last != before:
            return None
        result = await self._tried(self._last)
        if result is not None:
            self._metrics.policy_reloads.labels(result.value).inc()
            self._metrics.policies_refused.set(bool(self._trouble))
        return result

    async def _tried(self, read: str) -> Result | None:
        try:
            policies, why = (await asyncio.to_thread(proven, self._directory)).policies, None
        except UnusableError as error:
            policies, why = None, error
        self._last = await asyncio.to_thread(fingerprint, self._directory)
        if self._last != read:
            return None  # written while it was read
        try:
            if policies is not None:
                why = await self._put(await asyncio.to_thread(compile_policies, policies))
            if why is not None:
                await self._refuse(why)
        except (UpstreamError, OwnError) as error:
            self._trouble = f"a change waits: {error.detail}"
            _LOG.error("policies postponed", why=error.detail)
            return Result.POSTPONED
        self._settled = read
        return self._result(why)

    async def _put(self, compiled: CompiledPolicies) -> UnusableError | None:
        """Puts policies in force, or says why not; `UpstreamError` and `OwnError` where that cannot be told yet."""
        now, house = self._answering, self._answering.house
        try:
            other = await now.prepared(compiled)
        except UnusableError as error:
            return error
        before, after = now.compiled.policies.digest, compiled.policies.digest
        if before != after:
            await house.journal.record(changed(house.new_id(), house.clock(), before, after))
        self._same = before == after
        now.exchange(other)
        return None

    async def _refuse(self, why: UnusableError) -> None:
        house, digest = self._answering.house, self._answering.compiled.policies.digest
        detail = f"{len(why.findings)} findings, first {why.findings[0]}"
        await house.journal.record(refused(house.new_id(), house.clock(), digest, detail))
        said = [str(finding) for finding in why.findings[:MOST_SAID]]
        _LOG.error("policies refused", in_force=digest, findings=said)

    def _result(self, why: UnusableError | None) -> Result:
        if why is not None:
            self._trouble = f"a change is refused, the last good set is in force: {why.findings[0]}"
            return Result.REFUSED
        self._trouble = ""
        _LOG.info("policies loaded", in_force=self._answering.compiled.policies.digest)
        return Result.UNCHANGED if self._same else Result.LOADED


def start_watching(
    answering: Answering, read: str, stack: AsyncExitStack, metrics: Metrics
) -> PolicyWatch:
    """Starts to look at the directory of policies in the background; `read` is the fingerprint of what is in force."""
    watch = PolicyWatch(answering, read, metrics)
    pause_s = answering.ground.settings.policies_reload_s
    if not pause_s:
        return watch
    stop = asyncio.Event()
    # The exit stack keeps the task and waits for its end.
    task = asyncio.create_task(watch.run(stop, pause_s))

    async def end() -> None:
        stop.set()
        await asyncio.wait([task])

    stack.push_async_callback(end)
    return watch
