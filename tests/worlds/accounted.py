"""Guards that two worlds cannot show, each with the test that does; and what in `proxy/obligations` is no guard at all."""

from typing import NamedTuple


class Shown(NamedTuple):
    """The test that fails without a guard, and why the two worlds would answer alike."""

    test: str
    why: str


ELSEWHERE: dict[str, Shown] = {
    "guard._overlaps_spelled": Shown(
        "tests/obligations/test_guard.py::test_a_cut_is_read_by_a_parameter_that_names_the_choice",
        "the tables of the FHIR versions served spell every choice; it stands for one that does not",
    ),
    "operators._pseudonymise": Shown(
        "tests/obligations/test_operators.py::test_operators",
        "what is pseudonymised tells equal from unequal: another value is another pseudonym",
    ),
    "operators._shift": Shown(
        "tests/obligations/test_operators.py::test_operators",
        "a date that is shifted tells how far it is from another one",
    ),
    "operators._replace": Shown(
        "tests/obligations/test_operators.py::test_a_date_is_replaced_by_a_date_alone",
        "like `mask`, with a value of the policy's",
    ),
    "extensions.without_extensions": Shown(
        "tests/obligations/test_extensions.py::test_no_unlisted_extension_is_left_at_any_depth",
        "an extension that repeats what is hidden goes as a repeat; one that says it in other words is read by no program",
    ),
    "extensions.modifiers_in": Shown(
        "tests/obligations/test_extensions.py::test_a_modified_resource_is_not_shown_redacted",
        "what a modifier changes is told by no byte",
    ),
    "disclose._is_shut": Shown(
        "tests/obligations/test_extensions.py::test_a_modified_resource_is_not_shown_redacted",
        "part of disclose.illegible, which is a guard of the worlds",
    ),
    "redact._beside": Shown(
        "tests/obligations/test_neighbours.py::test_where_the_content_is_hidden_what_tells_of_it_is",
        "a hash or a size of another content is another value of an element that no rule of theirs redacts",
    ),
    "disclose.less_astray": Shown(
        "tests/enforcement/test_rows.py::test_nobody_is_found_by_who_stands_in_a_row_that_is_gone",
        "what stands in a row that goes with a reference stands there though the reference leads nowhere in either world",
    ),
    "prune.goes_with": Shown(
        "tests/enforcement/test_rows.py::test_which_elements_stand_in_a_row_that_may_go",
        "what it says is kept once it was asked; rows.reads_rows, which asks, is a guard of the worlds",
    ),
    "includes.refers": Shown(
        "tests/obligations/test_includes.py::test_a_reference_stands_that_is_not_gone",
        "a reference that leads nowhere stands in both worlds: one of them hides its target",
    ),
    "cursor.binding_of": Shown(
        "tests/worlds/test_guards.py::test_unbound_links_would_show",
        "a link of another caller is asked by another caller: the two worlds have one each",
    ),
    "cursor.unseal": Shown(
        "tests/obligations/test_cursor.py::test_it_does_not_open_for_another_caller",
        "what opens is judged anew; that it opened shows in the same world",
    ),
    "seal.opened": Shown(
        "tests/obligations/test_seal.py::test_no_other_text_opens",
        "a client that writes its own links reads what it is permitted, in both worlds",
    ),
    "job.unseal_job": Shown(
        "tests/obligations/test_job.py::test_a_job_opens_for_its_owner_until_it_is_over",
        "exports are begun and fetched by one caller in both worlds: tests/enforcement/test_export.py",
    ),
    "validators.is_held": Shown(
        "tests/obligations/test_validators.py::test_anything_else_does_not",
        "it says to a caller what the caller has already; of what is hidden nothing comes so far",
    ),
    "openness.require_open": Shown(
        "tests/enforcement/test_openness.py::test_upstream_is_asked_the_same_of_who_is_hidden_and_of_who_is_absent",
        "it says more, not less: with `refusal: tell` who is shut and who is absent are refused alike",
    ),
    "flow._admit": Shown(
        "tests/enforcement/test_chained.py::test_a_search_inside_needs_a_scope_of_its_own",
        "what no scope or role covers is judged entry by entry behind it, and withheld",
    ),
    "flow._start": Shown(
        "tests/enforcement/test_flow.py::test_a_page_link_leads_where_it_was_made_for",
        "what a page link of another path shows is judged anew: the same caller sees the same of it",
    ),
    "matching._is_tied": Shown(
        "tests/enforcement/test_chained.py::test_what_upstream_finds_beyond_a_chain_is_withheld",
        "it protects from a server that finds more than it was asked for; the embedded one does not",
    ),
    "chained._refuse": Shown(
        "tests/enforcement/test_chained.py::test_types_that_the_caller_may_not_search_are_not_asked_for",
        "a chain through a type that is not covered finds nothing of it, in both worlds",
    ),
    "export": Shown(
        "tests/enforcement/test_export.py::test_nothing_on_the_way_tells_what_is_hidden",
        "an export takes several requests; its two worlds are there",
    ),
    "subset.opens": Shown(
        "tests/enforcement/test_hearing.py::test_what_does_not_open_has_no_part_and_is_absent_where_one_is_asked_for",
        "what does not open is nested deeper than the embedded server keeps",
    ),
}
"""By guard."""

_LETTER = "how a resource is opened, walked and written: what is hidden in it, cuts, redact, prune and echoes say"
_SUBSET = "what the caller asks less of, cut from what may leave"
_KEYS = "makes what another guard opens"

OTHERWISE: dict[str, str] = {
    "letter": _LETTER,
    "mandatory": _LETTER,
    "places": "names of matches that are visible, in a sealed link: hidden ones are left out before (pages._new)",
    "pages.Source": "says of which search a page is",
    "pages._only": "says of which search a page is",
    "cuts.steps_of": "reads a path",
    "operators._each_value": "makes operators of functions of one value",
    "operators.target_of": "reads a reference",
    "operators.PseudonymKey": _KEYS,
    "disclose.Judged": "reads the decision",
    "disclose.Disclosed": "reads what was done",
    "cursor.key_of": _KEYS,
    "job.seal_job": _KEYS,
    "seal.sealed": _KEYS,
    "subset": _SUBSET,
}
"""What of `proxy/obligations` neither is a guard nor belongs to one (modules, classes, functions), and what it is."""
