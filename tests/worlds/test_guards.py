"""Each guard is needed: without it, the worlds answer differently. Guards are taken away one at a time, never the test's own eyes."""

import ast
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from proxy.enforcement import flow, leaving
from tests.stage import ROOT, Reply, Stage, Upstream, serving, staged
from tests.worlds.accounted import ELSEWHERE, OTHERWISE
from tests.worlds.guarded import guarded_without, loaded_whole, stricter_house
from tests.worlds.guards import CALLERS, GUARDS, NURSE, PHYSICIAN, Guard
from tests.worlds.refusals import REFUSED, Asked
from tests.worlds.removals import Patch
from tests.worlds.twins import Shape, heard, loaded, more, otherwise, samples, without_hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PAGING = "paging: {key: {file: paging.key}}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A caller, and a gateway in front of each world, both of the same house."""

    caller: str
    whole: Stage
    without: Stage

    async def differing(self, targets: Sequence[str]) -> list[str]:
        """Which of the requests the two worlds answer differently."""
        return [target for target in targets if not await self._alike(Shape(target))]

    async def _alike(self, shape: Shape) -> bool:
        who = CALLERS[self.caller]
        one = await heard(self.whole, who, shape, 3)
        return one == await heard(self.without, who, shape, 3)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pairs(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Pair]]:
    """The worlds of each caller; gateways know no facts yet."""
    folder = tmp_path_factory.mktemp("guards")
    house = stricter_house(folder)
    things = [*samples(), *more()]
    async with AsyncExitStack() as opened:

        async def gateway(url: str, name: str) -> Stage:
            (folder / name).mkdir()
            (folder / name / "paging.key").write_text("one key for both worlds, long enough")
            entered = staged(folder / name, url, 3600, house, _PAGING)
            return await opened.enter_async_context(entered)

        async def upstream(holding: Upstream) -> str:
            return await opened.enter_async_context(serving(holding.respond))

        whole = await upstream(Upstream(loaded_whole(things)))
        found = {}
        for name, who in CALLERS.items():
            stage = await gateway(whole, name)
            left = await without_hidden(things, stage, who)
            nurse = name != PHYSICIAN
            left = [otherwise(one) for one in left] if nurse else left
            without = await upstream(Upstream(loaded([*left, *guarded_without(nurse=nurse)])))
            found[name] = Pair(name, stage, await gateway(without, f"{name}-without"))
        yield found


@pytest.mark.parametrize("guard", GUARDS, ids=lambda one: one.name)
async def test_without_a_guard_the_worlds_differ(
    pairs: dict[str, Pair], guard: Guard, monkeypatch: Patch
) -> None:
    pair = pairs[guard.caller]
    assert await pair.differing(guard.targets) == []
    guard.removal(monkeypatch)
    assert await pair.differing(guard.targets) == list(guard.targets)


async def test_with_every_guard_they_do_not(pairs: dict[str, Pair]) -> None:
    """After all removals too: what is taken away leaves nothing behind that a gateway keeps."""
    for name, pair in pairs.items():
        targets = {one for guard in GUARDS if guard.caller == name for one in guard.targets}
        assert await pair.differing(sorted(targets)) == []


# ---- every guard is here -----------------------------------------------------------------------------------------------


def _functions(path: Path) -> dict[str, ast.AST]:
    """The functions of a module, and the methods of its classes."""
    found: dict[str, ast.AST] = {}
    for one in ast.parse(path.read_text()).body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            found[one.name] = one
        elif isinstance(one, ast.ClassDef):
            methods = (it for it in one.body if isinstance(it, ast.FunctionDef))
            found |= {f"{one.name}.{method.name}": method for method in methods}
    return found


def _named_in(node: ast.AST) -> set[str]:
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return found | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def _left_over(path: Path, told: set[str]) -> Iterator[str]:
    """The functions of a module that are not told of, nor used by one that is."""
    functions = _functions(path)
    known = {name for name in functions if f"{path.stem}.{name}" in told}
    waiting = set(known)
    while waiting:
        named = _named_in(functions[waiting.pop()])
        used = {name for name in functions.keys() - known if name.rpartition(".")[2] in named}
        known |= used
        waiting |= used
    for name in functions.keys() - known:
        wholes = {path.stem, f"{path.stem}.{name}", f"{path.stem}.{name.partition('.')[0]}"}
        if wholes.isdisjoint(OTHERWISE):
            yield f"{path.stem}.{name}"


async def test_every_function_that_decisions_oblige_to_is_a_guard_or_part_of_one() -> None:
    told = {guard.name for guard in GUARDS} | ELSEWHERE.keys()
    modules = sorted((ROOT / "proxy" / "obligations").glob("*.py"))
    assert [one for path in modules for one in _left_over(path, told)] == []


async def test_each_test_that_is_named_exists() -> None:
    for shown in ELSEWHERE.values():
        path, _, name = shown.test.partition("::")
        assert f"def {name}(" in (ROOT / path).read_text(), shown.test
        assert shown.why


# ---- what both worlds would answer alike all the same ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(loaded([*samples(), *more()]))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("scene"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def _foreign_link(stage: Stage) -> tuple[Reply, Reply]:
    """What the nurse gets for a link of the physician, and for one that nobody sealed."""
    first = await stage.ask("Observation?patient=camille&_count=2", PHYSICIAN)
    assert first.next is not None
    return await stage.ask(first.next, NURSE), await stage.ask("Observation?_page=AAAA", NURSE)


async def test_a_link_of_another_caller_is_as_good_as_none(scene: Scene) -> None:
    foreign, none = await _foreign_link(scene.stage)
    assert (foreign.status, foreign.body) == (none.status, none.body) == (404, none.body)


async def test_unbound_links_would_show(scene: Scene, monkeypatch: Patch) -> None:
    for module in (flow, leaving):
        monkeypatch.setattr(module, "binding_of", lambda *_: "anybody")
    foreign, none = await _foreign_link(scene.stage)
    assert foreign.status != none.status


def _is_sent(asked: Asked) -> bool:
    """Whether a client library sends it as it stands."""
    return not asked.repeated and asked.target.isascii() and "/../" not in asked.target


SENT = [one for one in REFUSED if _is_sent(one)]


@pytest.mark.parametrize("asked", SENT, ids=lambda one: one.target[:60])
async def test_what_is_refused_by_its_shape_never_goes_up(scene: Scene, asked: Asked) -> None:
    scene.upstream.calls.clear()
    shape = Shape(asked.target, asked.method, asked.body.decode("latin-1"), headers=asked.headers)
    [(given, _, _)] = await heard(scene.stage, PHYSICIAN, shape)
    assert 400 <= given < 502
    assert scene.upstream.calls == []
