import json

import pytest

from proxy.sandbox.model import FhirError
from proxy.sandbox.patch import patched

BODY = b'{"a":1.50,"l":[1,2],"o":{"x":"y"},"s/t":"u","m~n":0.10}'

PATCHES: list[tuple[list[dict[str, object]], bytes]] = [
    ([], BODY),
    ([{"op": "add", "path": "/b", "value": 1}], BODY[:-1] + b',"b":1}'),
    ([{"op": "add", "path": "/b", "value": None}], BODY[:-1] + b',"b":null}'),
    ([{"op": "add", "path": "/l/0", "value": 0}], BODY.replace(b"[1,2]", b"[0,1,2]")),
    ([{"op": "add", "path": "/l/-", "value": 3}], BODY.replace(b"[1,2]", b"[1,2,3]")),
    ([{"op": "remove", "path": "/l/1"}], BODY.replace(b"[1,2]", b"[1]")),
    ([{"op": "remove", "path": "/o/x"}], BODY.replace(b'{"x":"y"}', b"{}")),
    ([{"op": "replace", "path": "/s~1t", "value": "v"}], b'{"a":1.50,"l":[1,2],"o":{"x":"y"},"m~n":0.10,"s/t":"v"}'),
    ([{"op": "remove", "path": "/m~0n"}], b'{"a":1.50,"l":[1,2],"o":{"x":"y"},"s/t":"u"}'),
    ([{"op": "move", "from": "/a", "path": "/o/a"}], b'{"l":[1,2],"o":{"x":"y","a":1.50},"s/t":"u","m~n":0.10}'),
    ([{"op": "copy", "from": "/o", "path": "/p"}, {"op": "remove", "path": "/p/x"}], BODY[:-1] + b',"p":{}}'),
    ([{"op": "test", "path": "/a", "value": 1.5}], BODY),
]  # fmt: skip


@pytest.mark.parametrize(("document", "expected"), PATCHES)
def test_a_patch_changes_what_it_names_and_keeps_all_spellings(
    document: list[dict[str, object]], expected: bytes
) -> None:
    assert patched(BODY, json.dumps(document).encode()) == expected


WRONG: list[object] = [
    {},
    [{"op": "fly", "path": "/a"}],
    [{"op": "add", "path": "/a"}],
    [{"op": "add", "path": "a", "value": 1}],
    [{"op": "add", "path": "/a/b", "value": 1}],
    [{"op": "add", "path": "/l/9", "value": 1}],
    [{"op": "remove", "path": "/l/-"}],
    [{"op": "remove", "path": "/nothing"}],
    [{"op": "remove", "path": ""}],
    [{"op": "replace", "path": "/nothing", "value": 1}],
    [{"op": "move", "path": "/b"}],
    [{"op": "copy", "from": "/nothing", "path": "/b"}],
]


@pytest.mark.parametrize("document", WRONG)
def test_a_wrong_patch_is_400(document: object) -> None:
    with pytest.raises(FhirError) as refused:
        patched(BODY, json.dumps(document).encode())
    assert refused.value.status == 400


def test_a_failing_test_is_422() -> None:
    with pytest.raises(FhirError) as refused:
        patched(BODY, b'[{"op":"test","path":"/a","value":2}]')
    assert refused.value.status == 422
