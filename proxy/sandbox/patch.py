"""JSON Patch (RFC 6902) on a resource, numbers keeping their spelling."""

from collections.abc import Callable

import msgspec

from proxy.sandbox.body import same_json, verbatim_tree_of
from proxy.sandbox.model import FhirError, invalid

_MISSING = object()


class _Operation(msgspec.Struct, frozen=True):
    """One operation of a patch document; `value` keeps its spelling."""

    op: str
    path: str
    value: msgspec.Raw = msgspec.Raw(b"")
    from_: str | None = msgspec.field(default=None, name="from")


_OPERATIONS = msgspec.json.Decoder(list[_Operation])


def patched(body: bytes, document: bytes) -> bytes:
    """Apply a patch document; FhirError 400 if it is malformed or a path does not exist, 422 if a test fails."""
    try:
        operations = _OPERATIONS.decode(document)
    except msgspec.MsgspecError as error:
        raise invalid(f"the body is no JSON Patch: {error}") from error
    tree = verbatim_tree_of(body)
    for operation in operations:
        apply = _APPLY.get(operation.op)
        if apply is None:
            raise invalid(f"unknown patch operation `{operation.op}`")
        tree = apply(tree, operation)
    return msgspec.json.encode(tree)


def _steps(pointer: str) -> list[str]:
    """Read a JSON Pointer (RFC 6901)."""
    if pointer and not pointer.startswith("/"):
        raise invalid(f"`{pointer}` is no JSON Pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _position(container: list[object], step: str, *, after: bool = False) -> int:
    limit = len(container) + (1 if after else 0)
    if after and step == "-":
        return len(container)
    if not step.isdecimal() or int(step) >= limit:
        raise invalid(f"there is no list item `{step}`")
    return int(step)


def _child(container: object, step: str) -> object:
    if isinstance(container, list):
        return container[_position(container, step)]
    found = container.get(step, _MISSING) if isinstance(container, dict) else _MISSING
    if found is _MISSING:
        raise invalid(f"there is no element `{step}`")
    return found


def _at(tree: object, steps: list[str]) -> object:
    for step in steps:
        tree = _child(tree, step)
    return tree


def _put(tree: object, pointer: str, value: object) -> object:
    steps = _steps(pointer)
    if not steps:
        return value
    container, last = _at(tree, steps[:-1]), steps[-1]
    if isinstance(container, list):
        container.insert(_position(container, last, after=True), value)
    elif isinstance(container, dict):
        container[last] = value
    else:
        raise invalid(f"`{pointer}` leads into a value without elements")
    return tree


def _take(tree: object, pointer: str) -> object:
    steps = _steps(pointer)
    if not steps:
        raise invalid("a resource cannot be removed by a patch")
    container, last = _at(tree, steps[:-1]), steps[-1]
    value = _child(container, last)
    if isinstance(container, list):
        container.pop(_position(container, last))
    elif isinstance(container, dict):
        del container[last]
    return value


def _value(operation: _Operation) -> object:
    if not bytes(operation.value):
        raise invalid(f"the patch operation `{operation.op}` needs a value")
    return verbatim_tree_of(bytes(operation.value))


def _from(operation: _Operation) -> str:
    if operation.from_ is None:
        raise invalid(f"the patch operation `{operation.op}` needs `from`")
    return operation.from_


def _add(tree: object, operation: _Operation) -> object:
    return _put(tree, operation.path, _value(operation))


def _remove(tree: object, operation: _Operation) -> object:
    _take(tree, operation.path)
    return tree


def _replace(tree: object, operation: _Operation) -> object:
    value = _value(operation)
    _take(tree, operation.path)
    return _put(tree, operation.path, value)


def _move(tree: object, operation: _Operation) -> object:
    return _put(tree, operation.path, _take(tree, _from(operation)))


def _copy(tree: object, operation: _Operation) -> object:
    value = _at(tree, _steps(_from(operation)))
    # A second object, so that a later operation on one place leaves the other alone.
    return _put(tree, operation.path, verbatim_tree_of(msgspec.json.encode(value)))


def _test(tree: object, operation: _Operation) -> object:
    if not same_json(_at(tree, _steps(operation.path)), _value(operation)):
        raise FhirError(422, "processing", f"the patch test of `{operation.path}` failed")
    return tree


_APPLY: dict[str, Callable[[object, _Operation], object]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
