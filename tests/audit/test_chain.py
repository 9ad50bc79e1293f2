import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.chain import Chain, Head, Link, first_hash, next_hash, origin_of, verify


def body(name: str) -> bytes:
    return msgspec.json.encode({"id": name, "recorded": 1.0})


def written(
    writer: str, names: list[str], origin: tuple[Head, ...] = ()
) -> tuple[Chain, list[Link]]:
    start = origin_of(origin)
    digest, links = first_hash(writer, start), []
    for position, name in enumerate(names, 1):
        digest = next_hash(digest, body(name))
        links.append(Link(position, writer, position, name, 1.0, body(name), digest))
    return Chain(Head(writer, len(names), digest.hex()), start), links


CHAIN, LINKS = written("w", ["a", "b", "c", "d"])


def test_an_untouched_chain_holds() -> None:
    assert verify(LINKS, [CHAIN]) is None
    assert verify([], []) is None


BREAKS = {
    "edited": ([LINKS[0], LINKS[1]._replace(entry=body("x"), id="x"), *LINKS[2:]], "x", "edited"),
    "edited beside the entry": ([LINKS[0], LINKS[1]._replace(recorded=2.0), *LINKS[2:]], "b", "edited"),
    "edited with its hash": (
        [LINKS[0]._replace(entry=body("a "), hash=next_hash(first_hash("w", b"[]"), body("a "))), *LINKS[1:]],
        "a",
        "edited",
    ),
    "removed at the start": (LINKS[1:], "b", "entry 1 of this writer was removed"),
    "removed inside": ([LINKS[0], *LINKS[2:]], "c", "entry 2 of this writer was removed"),
    "truncated": (LINKS[:-1], "c", "ends after it"),
    "emptied": ([], "", "ends after it"),
    "reordered": ([LINKS[0], LINKS[2], LINKS[1], LINKS[3]], "c", "removed before it"),
    "renumbered": (
        [LINKS[0], LINKS[2]._replace(position=2), LINKS[1]._replace(position=3), LINKS[3]],
        "c",
        "another's place",
    ),
    "repeated": ([*LINKS, LINKS[3]], "d", "out of order"),
    "by a stranger": ([*LINKS, LINKS[3]._replace(writer="z")], "d", "not on record"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREAKS)
def test_a_break_names_the_first_entry_and_the_cause(case: str) -> None:
    links, name, why = BREAKS[case]
    found = verify(links, [CHAIN])
    assert found is not None
    assert found.entry_id == name
    assert why in str(found)


def test_writers_do_not_disturb_each_other() -> None:
    other, links = written("v", ["x", "y"])
    mixed = [LINKS[0], links[0], LINKS[1], LINKS[2], links[1], LINKS[3]]
    assert verify(mixed, [CHAIN, other]) is None


def test_a_chain_that_others_started_from_cannot_vanish() -> None:
    later, links = written("v", ["x"], origin=(CHAIN.head,))
    assert verify([*LINKS, *links], [CHAIN, later]) is None
    found = verify(links, [later])
    assert found is not None
    assert (found.writer, found.why) == ("w", "a chain of 4 entries was removed")


def test_a_chain_that_others_started_from_cannot_be_written_anew() -> None:
    later, links = written("v", ["x"], origin=(CHAIN.head,))
    forged, forgery = written("w", ["a", "b", "x", "d"])
    found = verify([*forgery, *links], [forged, later])
    assert found is not None
    assert "head kept at entry 4" in found.why


def test_a_tail_cut_with_its_head_record_shows_only_by_an_anchor_kept_elsewhere() -> None:
    cut, links = written("w", ["a", "b"])
    assert verify(links, [cut]) is None
    assert verify(links, [cut], anchors=[CHAIN.head]) is not None


def test_growth_since_the_anchor_is_no_break() -> None:
    earlier, _ = written("w", ["a", "b"])
    assert verify(LINKS, [CHAIN], anchors=[earlier.head]) is None


@pytest.mark.parametrize("origin", [b"[]x", b"nothing", b'[["w",4]]', b"[[1,2,3]]"])
def test_an_edited_origin_is_a_break(origin: bytes) -> None:
    assert verify(LINKS, [CHAIN._replace(origin=origin)]) is not None


@given(st.integers(0, 3), st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_is_found(row: int, at: int, flip: int) -> None:
    entry = bytearray(LINKS[row].entry)
    entry[at % len(entry)] ^= flip
    links = [*LINKS]
    links[row] = LINKS[row]._replace(entry=bytes(entry))
    found = verify(links, [CHAIN])
    assert found is not None
    assert found.seq == row + 1


@given(st.permutations(range(4)), st.integers(0, 4))
def test_any_other_order_or_number_is_found(order: list[int], kept: int) -> None:
    links = [LINKS[index] for index in order[:kept]]
    assert (verify(links, [CHAIN]) is None) == (links == LINKS)
