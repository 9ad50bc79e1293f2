"""Ways to take one guard away: a function that is replaced wherever it is used, a row of a table, a refusal that is not raised."""

import ast
import functools
import gc
import inspect
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from proxy.enforcement.hearing import Hearing
from proxy.fhir.coding import Effect
from proxy.obligations.disclose import Judged

Patch = pytest.MonkeyPatch
Removal = Callable[[Patch], None]
ROOT = Path(__file__).parent.parent.parent


def swapped(function: Callable[..., Any], instead: Callable[..., Any]) -> Removal:
    """Another function in the place of one, in every module of the house that has it."""

    def remove(patch: Patch) -> None:
        found = [
            (module, name)
            for key, module in sys.modules.items()
            if key.startswith("proxy.")
            for name, value in vars(module).items()
            if value is function
        ]
        assert found, function
        for module, name in found:
            patch.setattr(module, name, instead)

    return remove


def giving(function: Callable[..., Any], value: Any) -> Removal:
    """A function that says the same whatever it is asked."""
    return swapped(function, _always(value, function))


def _always(value: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    if not inspect.iscoroutinefunction(function):
        return lambda *_, **__: value

    async def given(*_: Any, **__: Any) -> Any:
        return value

    return given


def listed(table: Mapping[Any, Any], key: Any, value: Any) -> Removal:
    """Another row in a table."""

    def remove(patch: Patch) -> None:
        patch.setitem(table, key, value)

    return remove


def everything(*removals: Removal) -> Removal:
    """Several that are one guard together."""

    def remove(patch: Patch) -> None:
        for one in removals:
            one(patch)

    return remove


# ---- what is judged ------------------------------------------------------------------------------------------------------


def _permitted(one: Judged) -> Judged:
    return (
        one._replace(decision=replace(one.decision, effect=Effect.PERMIT)) if one.decision else one
    )


def judging(applies: Callable[[Hearing], bool]) -> Removal:
    """Everything is permitted where this holds of a hearing."""

    def remove(patch: Patch) -> None:
        judge = Hearing.judge

        async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
            found = await judge(self, resources, **rest)
            return [_permitted(one) for one in found] if applies(self) else found

        patch.setattr(Hearing, "judge", judged)

    return remove


def permitting_within(module: ModuleType, name: str) -> Removal:
    """Everything is permitted as long as a coroutine of a module runs."""

    def remove(patch: Patch) -> None:
        inner = getattr(module, name)
        depth = itertools.count()
        inside: list[int] = []

        async def within(*given: Any, **rest: Any) -> Any:
            inside.append(next(depth))
            try:
                return await inner(*given, **rest)
            finally:
                inside.pop()

        judging(lambda _: bool(inside))(patch)
        patch.setattr(module, name, within)

    return remove


# ---- refusals ------------------------------------------------------------------------------------------------------------


class _Unraised(ast.NodeTransformer):
    """One `raise` of a module becomes nothing."""

    def __init__(self, line: int) -> None:
        self.line = line

    def visit_Raise(self, node: ast.Raise) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if node.lineno == self.line else node


@functools.cache
def _tree(module: str) -> str:
    return Path(sys.modules[module].__file__ or "").read_text()


@functools.cache
def raises_of(module: str) -> dict[int, str]:
    """The refusals of a module: line, and the function they stand in."""
    found: dict[int, str] = {}

    def walk(node: ast.AST, name: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(child, ast.Raise) and child.exc is not None:
                found[child.lineno] = name
            walk(child, f"{name}.{child.name}".lstrip(".") if inner else name)  # type: ignore[attr-defined]

    walk(ast.parse(_tree(module)), "")
    return found


def unraised(module: str, line: int) -> Removal:
    """A refusal is not raised, and what stands behind it goes on."""

    def remove(patch: Patch) -> None:
        tree = _Unraised(line).visit(ast.parse(_tree(module)))
        path = sys.modules[module].__file__ or ""
        whole = compile(ast.fix_missing_locations(tree), path, "exec")
        [changed] = [one for one in _codes(whole) if _holds(one, line)]
        for function in _functions(path):
            code = function.__code__
            if (code.co_firstlineno, code.co_name) == (changed.co_firstlineno, changed.co_name):
                patch.setattr(function, "__code__", changed)

    return remove


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)


def _holds(code: CodeType, line: int) -> bool:
    """Whether a line is of this function, and not of one inside it."""
    inside = [one for one in _codes(code) if _spans(one, line)]
    return _spans(code, line) and not inside


def _spans(code: CodeType, line: int) -> bool:
    lines = [at for _, _, at in code.co_lines() if at]
    return min(lines) <= line <= max(lines)


@functools.cache
def _functions(path: str) -> list[FunctionType]:
    """The functions of a module, those that other functions made too."""
    found = [one for one in gc.get_objects() if isinstance(one, FunctionType)]
    return [one for one in found if one.__code__.co_filename == path]
