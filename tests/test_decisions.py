"""Every rule of the semantics has a test that fails if it is broken; a rule that nobody enforces yet says why.

A row is one normative sentence, numbered by its chapter: 1 words, 2 the combining rule, 3 whose consent, 4 a FHIR Consent,
5 relationships, 6 labels, 7 redaction, 8 refusals, 9 break-glass, 10 writes, 11 policy files. A test is named by its file and
function, a golden conversation by its file and what it is about.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class NotBuilt:
    """A rule with nothing to test yet, and why; what keeps it from being broken meanwhile."""

    reason: str
    meanwhile: str


NOT_WRITTEN = "exchanges/refused.yaml::nothing is written"

ROWS: dict[str, tuple[str, ...] | NotBuilt] = {
    # ---- 1
    "1 four verdicts": (
        "decision/test_provisions.py::test_unknown_before_deny_before_permit_before_silence",
        "decision/test_combine.py::test_an_uncertain_rule_is_an_unknown_reason",
    ),
    "1 a decision has an effect, obligations and reasons": (
        "decision/test_combine.py::test_every_row_of_the_table",
        "decision/test_provisions.py::test_a_verdict_names_its_consents_provision_and_caller",
        "decision/test_explain.py::test_a_rule_is_told_with_its_line_and_its_basis",
    ),
    "1 a decision is never an exception": (
        "properties/test_laws.py::test_any_request_has_one_answer_and_one_entry",
        "facts/test_directive.py::test_no_damage_to_a_consent_raises",
    ),
    # ---- 2
    "2 any unknown denies": (
        "decision/test_combine.py::test_every_row_of_the_table",
        "decision/test_voices.py::test_an_unknown_is_a_deny_whatever_else_is_said",
    ),
    "2 a deny that is not lifted denies": (
        "decision/test_combine.py::test_every_row_of_the_table",
        "decision/test_voices.py::test_one_deny_is_enough",
    ),
    "2 a permit comes with the union of obligations": (
        "decision/test_combine.py::test_two_patients_both_permit_with_the_obligations_of_both",
        "decision/test_model.py::test_obligations_join_and_none_is_lost",
        "properties/test_reference.py::test_the_engine_agrees_with_the_reference_whatever_it_was_asked_before",
    ),
    "2 silence denies": (
        "decision/test_combine.py::test_silence_denies_and_says_so",
        "properties/test_laws.py::test_without_a_rule_nothing_is_permitted",
    ),
    "2 deny overrides whatever its source and age": (
        "properties/test_laws.py::test_another_deny_discloses_no_more",
        "properties/test_laws.py::test_another_consent_that_denies_discloses_no_more",
    ),
    "2 order never matters": (
        "properties/test_laws.py::test_order_decides_nothing",
        "decision/test_provisions.py::test_order_never_matters",
        "decision/test_residual.py::test_order_never_matters",
    ),
    "2 a rule lifts only the denies it names": (
        "decision/test_combine.py::test_every_row_of_the_table",
        "decision/test_voices.py::test_a_deny_can_be_lifted_by_who_may",
    ),
    "2 what was lifted is shown": (
        "decision/test_combine.py::test_what_was_lifted_is_shown_beside_what_lifts_it",
        "decision/test_explain.py::test_a_deny_that_was_lifted_is_told_in_the_permit",
    ),
    "2 nothing lifts what is absolute": (
        "decision/test_combine.py::test_every_row_of_the_table",
        "decision/test_voices.py::test_no_rule_lifts_what_the_matrix_shuts",
        "decision/test_residual.py::test_no_rule_can_name_what_the_token_forbids_to_lift_it",
        "decision/test_emergency.py::test_no_rule_lifts_an_express_opposition_or_the_deny_list",
        "exchanges/people.yaml::an insurer is refused, whatever the patient signed",
    ),
    "2 scopes are a ceiling": (
        "decision/test_voices.py::test_scopes_are_a_ceiling",
        "exchanges/scopes.yaml::scopes do not widen what policy and Consent allow",
        "decision/test_emergency.py::test_a_grant_admits_nothing_beyond_the_scopes",
    ),
    "2 scope, role, relationship and consent must all agree": (
        "decision/test_rules.py::test_all_that_a_target_says_must_fit",
        "properties/test_laws.py::test_one_permit_fewer_discloses_no_more",
    ),
    "2 in doubt a permit does not match and a deny does": (
        "decision/test_rules.py::test_a_relationship_that_could_not_be_looked_up_is_unknown",
        "decision/test_provisions.py::test_what_cannot_be_told_matches_a_deny_and_no_permit",
        "decision/test_constraints.py::test_what_matches_for_certain_matches_in_doubt",
    ),
    "2 a Consent that cannot be computed is unknown": (
        "decision/test_provisions.py::test_unknown_before_deny_before_permit_before_silence",
        "facts/test_directive.py::test_what_is_not_understood_whole_is_not_computable",
    ),
    "2 an unknown label is unknown": (
        "decision/test_voices.py::test_an_unknown_is_a_deny_whatever_else_is_said",
        "exchanges/reading.yaml::a label that nobody knows hides",
    ),
    "2 an unknown role is unknown": (
        "decision/test_decide.py::test_who_is_not_sure_to_be_no_insurer_is_treated_as_one",
    ),
    "2 a missing cell of the matrix denies": (
        "decision/test_voices.py::test_a_document_is_open_to_whose_role_a_cell_says_so",
    ),
    # ---- 3
    "3 whom a resource is about": (
        "fhir/test_reader.py::test_whom_a_resource_is_about",
        "fhir/test_compartment.py::test_every_element_that_names_the_patient_is_in_the_table",
        "exchanges/reading.yaml::a contained resource about another patient hides what contains it",
    ),
    "3 performer, author and recipient are not whom it is about": (
        "fhir/test_compartment.py::test_who_wrote_a_resource_is_not_whom_it_is_about",
        "enforcement/test_compartments.py::test_being_performer_opens_no_other_patient",
    ),
    "3 references are normalised": (
        "fhir/test_links.py::test_a_reference_to_this_server_is_its_type_and_id",
        "fhir/test_links.py::test_any_other_reference_is_nobody_s",
        "facts/test_directive.py::test_references_are_normalised_and_others_are_dead",
    ),
    "3 a reference that cannot be resolved denies": (
        "decision/test_voices.py::test_whom_it_is_about_cannot_be_told",
        "exchanges/reading.yaml::whom it is about cannot be told, so it is hidden",
    ),
    "3 two patients must both permit": (
        "decision/test_voices.py::test_about_two_patients_both_must_permit",
        "decision/test_combine.py::test_two_patients_of_whom_one_does_not_permit",
        "decision/test_emergency.py::test_a_resource_about_two_patients_needs_a_grant_for_both",
    ),
    "3 about nobody only policy decides": (
        "decision/test_voices.py::test_a_patient_scope_opens_what_is_about_nobody",
        "policy/test_crossref.py::test_a_rule_on_universal_types_cannot_ask_for_consent",
        "exchanges/reading.yaml::the directory is open to whoever is signed in",
    ),
    "3 a type about nobody that names a patient is shut": (
        "decision/test_voices.py::test_what_is_refused_before_any_voice_is_heard_says_why",
        "attacks/test_hidden_data.py::test_what_is_open_to_everyone_carries_no_patient_out",
    ),
    "3 universal types are those the policy lists": (
        "decision/test_case.py::test_what_is_universal_is_what_the_policies_name",
        "policy/test_crossref.py::test_universal_types_exist_and_are_about_nobody",
    ),
    "3 Consents are read with our own rights": (
        "app/test_upstream.py::test_the_gateway_shows_its_own_credentials_to_upstream_alone",
    ),
    "3 all pages of the Consents are read": (
        "wire/test_client.py::test_facts_are_read_to_the_last_page_less_remarks",
        "facts/test_gather.py::test_a_patient_with_more_consents_than_can_be_read_is_unknown_alone",
    ),
    "3 Consents are checked again for patient and status": (
        "facts/test_gather.py::test_another_patients_and_inactive_resources_are_not_believed",
        "facts/test_directive.py::test_only_active_consents_act_however_broken_the_others_are",
    ),
    "3 Consents are not returned as a side effect": (
        "exchanges/people.yaml::nobody else sees the deny list",
        "worlds/test_worlds.py::test_what_is_hidden_might_as_well_not_exist",
    ),
    "3 a sentinel proves that upstream honours the search": (
        "facts/test_gather.py::test_the_sentinel_refuses_an_upstream_that_ignores_a_search",
        "app/test_upstream.py::test_a_server_that_ignores_a_search_is_refused",
    ),
    # ---- 4
    "4 only an active Consent acts": (
        "facts/test_directive.py::test_only_active_consents_act_however_broken_the_others_are",
    ),
    "4 scopes of research and treatment act for their purposes": (
        "facts/test_directive.py::test_the_scope_limits_a_consent",
        "decision/test_applicable.py::test_a_scope_owns_all_some_or_none_of_the_purposes",
    ),
    "4 partial dates are intervals of the zone, ends inclusive": (
        "facts/test_directive.py::test_partial_dates_are_intervals_of_the_zone_with_inclusive_ends",
        "fhir/test_dates.py::test_a_date_is_all_that_it_names",
    ),
    "4 the base decision of R4": (
        "facts/test_directive.py::test_the_base_decision_of_r4_follows_the_table",
    ),
    "4 the decision of R5": (
        "facts/test_directive.py::test_an_r5_decision_stands_alone_and_each_level_negates_the_one_above",
    ),
    "4 elements of the root restrict the whole Consent in R4": (
        "facts/test_directive.py::test_the_root_of_an_r4_consent_restricts_it_whole",
        "facts/test_directive.py::test_the_period_of_r5_is_the_consents_own",
    ),
    "4 nested provisions are exceptions": (
        "decision/test_provisions.py::test_exceptions_override_their_parent_and_among_siblings_deny_wins",
        "decision/test_applicable.py::test_an_exception_to_what_does_not_match_is_none",
    ),
    "4 the explicit type counts in R4": (
        "facts/test_provision.py::test_r4_states_every_effect_and_r5_negates_the_level_above",
        "facts/test_directive.py::test_a_nested_permit_inherits_what_it_leaves_open_and_a_deny_does_not",
    ),
    "4 among siblings deny wins": (
        "decision/test_provisions.py::test_exceptions_override_their_parent_and_among_siblings_deny_wins",
        "decision/test_provisions.py::test_adding_a_denying_exception_never_turns_a_deny_into_a_permit",
    ),
    "4 elements and, values or, absent is no constraint": (
        "decision/test_provisions.py::test_elements_and_values_or",
        "decision/test_constraints.py::test_elements_and_each_other",
        "facts/test_provision.py::test_every_element_is_read_and_an_absent_one_does_not_constrain",
    ),
    "4 actors match the closure of the caller": (
        "facts/test_actors.py::test_an_actor_is_the_caller_or_not_or_cannot_be_told",
        "facts/test_relationship.py::test_the_closure_holds_the_caller_its_roles_and_the_organisations_above_even_in_a_circle",
        "facts/test_gather.py::test_members_of_named_groups_and_dead_actors_are_resolved",
    ),
    "4 a deny whose actor cannot be resolved denies everyone": (
        "facts/test_gather.py::test_a_group_in_which_somebody_cannot_be_told_may_hold_anybody",
        "facts/test_actors.py::test_nobody_is_certainly_someone_else_while_the_caller_is_not_known_whole",
    ),
    "4 an actor that cannot be resolved is a finding": (
        "facts/test_gather.py::test_what_cannot_be_understood_is_told_once",
    ),
    "4 the custodian is us": (
        "decision/test_provisions.py::test_a_custodian_beside_a_recipient_is_not_the_caller",
    ),
    "4 a purpose matches its descendants": (
        "decision/test_terminology.py::test_a_purpose_has_its_ancestors",
        "decision/test_provisions.py::test_a_permit_must_cover_every_purpose_of_the_request_a_deny_any",
    ),
    "4 break-glass is judged by what names it first": (
        "decision/test_provisions.py::test_break_glass_is_judged_by_what_names_it_first",
    ),
    "4 actions": ("decision/test_constraints.py::test_who_asks_why_and_what_for",),
    "4 confidentiality is ordered, permits lower and denies higher": (
        "decision/test_terminology.py::test_confidentiality_is_totally_ordered",
        "decision/test_provisions.py::test_a_permit_covers_its_confidentiality_and_lower_and_must_clear_every_sensitivity",
        "decision/test_provisions.py::test_a_deny_covers_its_confidentiality_and_higher_and_any_sensitivity",
    ),
    "4 sensitivity by descent in both trees": (
        "decision/test_terminology.py::test_sensitivity_subsumes_in_both_trees",
    ),
    "4 every sensitivity code must be cleared": (
        "decision/test_provisions.py::test_a_permit_covers_its_confidentiality_and_lower_and_must_clear_every_sensitivity",
        "decision/test_constraints.py::test_what_the_resource_is",
    ),
    "4 class, code, dataPeriod and data": (
        "decision/test_constraints.py::test_what_the_resource_is",
        "fhir/test_reader.py::test_the_clinical_date_is_the_first_that_is_there_and_a_period_is_whole",
        "decision/test_provisions.py::test_related_works_in_both_directions",
    ),
    "4 codes count in contained resources and components": (
        "fhir/test_reader.py::test_wanted_codes_are_found_at_any_depth_and_others_are_not_kept",
    ),
    "4 undated data match a deny": (
        "decision/test_constraints.py::test_what_the_resource_is",
        "decision/test_provisions.py::test_what_cannot_be_told_matches_a_deny_and_no_permit",
    ),
    "4 what is not understood is not computable": (
        "facts/test_directive.py::test_what_is_not_understood_whole_is_not_computable",
        "facts/test_provision.py::test_what_is_not_understood_is_refused_at_any_depth",
    ),
    "4 four states of a Consent": (
        "facts/test_directive.py::test_lint_knows_four_states",
        "facts/test_lint.py::test_each_consent_has_a_status_and_a_reason",
    ),
    "4 of several Consents the deny wins": (
        "decision/test_voices.py::test_one_deny_is_enough",
        "decision/test_provisions.py::test_adding_a_denial_never_turns_a_deny_into_a_permit",
    ),
    "4 the most recent one where the policy says so": (
        "decision/test_provisions.py::test_the_most_recent_consent_decides_where_the_policy_says_so",
    ),
    "4 without a Consent the implicit rule of the policy": (
        "properties/test_laws.py::test_without_a_consent_no_professional_is_permitted",
        "policy/test_load.py::test_every_pack_we_ship_loads_and_has_cases_for_permit_and_deny",
    ),
    "4 residual rules are one more voice": (
        "decision/test_residual.py::test_what_residual_rules_let_flow",
        "decision/test_residual.py::test_a_token_opens_nothing_that_others_shut",
        "decision/test_residual.py::test_one_forbid_more_never_discloses_more",
    ),
    "4 a Consent and its residual rules give the same answer": (
        "decision/test_residual.py::test_a_consent_and_the_rules_that_are_left_of_it_give_the_same_answer",
        "decision/test_pcf_tokens.py::test_a_consent_and_its_token_give_the_same_answer",
    ),
    # ---- 5
    "5 only sources that the policy names prove": (
        "facts/test_gather.py::test_only_what_the_policy_names_proves_a_care_team",
        "exchanges/hospital.yaml::without a policy that names them, encounters prove nothing",
    ),
    "5 care team by status and periods": (
        "facts/test_relationship.py::test_a_care_team_proves_only_current_members_of_an_active_team",
        "facts/test_activity.py::test_an_encounter_proves_its_participants_while_it_goes_on",
        "facts/test_activity.py::test_an_appointment_proves_who_accepted_it_on_its_days",
    ),
    "5 general practitioner, guardian": (
        "facts/test_relationship.py::test_general_practitioners_may_be_persons_roles_and_organisations",
        "facts/test_relationship.py::test_a_related_person_is_a_guardian_only_by_code",
    ),
    "5 author in person, or the organisation": (
        "decision/test_voices.py::test_what_an_organisation_wrote_is_not_written_by_each_of_its_people",
    ),
    "5 delegates act within what the other has": (
        "attacks/test_delegation.py::test_a_delegate_reads_what_policy_gives_to_delegates_and_no_more",
        "attacks/test_delegation.py::test_when_the_others_standing_ends_so_does_the_delegates",
    ),
    "5 the deny list": (
        "facts/test_denylist.py::test_the_deny_list_is_who_is_denied_without_condition",
        "exchanges/people.yaml::a clinician on the deny list sees nobody, though he is on two teams",
    ),
    "5 only what has begun, has not ended and can be proven": (
        "facts/test_relationship.py::test_relationships_are_what_can_be_proven_now",
        "facts/test_relationship.py::test_a_relationship_that_has_ended_is_none",
        "properties/test_reference.py::test_relationships_agree_with_the_reference",
    ),
    "5 a failed look-up is unknown": (
        "facts/test_gather.py::test_a_failed_look_up_is_unknown_and_not_kept",
        "properties/test_laws.py::test_what_could_not_be_looked_up_is_not_permitted",
    ),
    # ---- 6
    "6 effective labels are the union of all sources": (
        "decision/test_labels.py::test_every_effective_label_is_told_with_where_it_comes_from",
        "fhir/test_reader.py::test_every_label_is_seen_wherever_it_stands",
    ),
    "6 labelling rules": (
        "decision/test_labels.py::test_a_code_that_a_rule_knows_is_a_label",
        "exchanges/people.yaml::a disease that a labelling rule recognises is withheld though upstream has not labelled it",
    ),
    "6 labels are inherited": (
        "enforcement/test_inheritance.py::test_who_may_not_see_a_document_may_not_see_what_was_made_from_it",
        "facts/test_documents.py::test_a_document_gives_its_labels_and_those_of_what_it_was_made_from",
    ),
    "6 inline labels count for what they cover": (
        "decision/test_inline.py::test_each_labelled_element_is_decided_by_its_labels",
        "attacks/test_inline_labels.py::test_a_labelled_element_is_cut_out_and_the_rest_leaves",
    ),
    "6 systems and spellings are normalised": (
        "fhir/test_coding.py::test_one_code_system_has_one_name",
        "exchanges/reading.yaml::every spelling of a confidentiality label counts",
    ),
    "6 a label nobody knows is unknown": (
        "decision/test_labels.py::test_the_highest_label_counts_and_an_unknown_one_is_told",
        "policy/test_labels.py::test_a_label_is_known_by_itself_or_by_its_system",
    ),
    "6 sensitivity means R at least": (
        "decision/test_labels.py::test_the_highest_label_counts_and_an_unknown_one_is_told",
        "decision/test_emergency.py::test_what_a_grant_never_opens",
    ),
    "6 the policy says what unlabelled means": (
        "decision/test_labels.py::test_the_policy_says_what_is_unlabelled",
        "decision/test_labels.py::test_a_label_that_the_resource_does_not_state_has_its_origin_too",
    ),
    "6 upstream is asked for whole resources": (
        "enforcement/test_matching.py::test_upstream_is_asked_for_whole_resources_and_for_many_at_once",
        "exchanges/counting.yaml::elements are cut after the decision, never before",
    ),
    "6 the Bundle carries the highest label": (
        "fhir/test_bundle.py::test_the_high_water_mark_is_the_highest_of_all",
        "exchanges/searching.yaml::the label of a Bundle with restricted data says so",
    ),
    "6 redacted resources carry REDACTED": (
        "obligations/test_redact.py::test_say_what_was_done",
    ),
    # ---- 7
    "7 paths are element steps": (
        "policy/test_redact.py::test_a_path_is_element_steps_only",
    ),
    "7 operators": (
        "obligations/test_operators.py::test_operators",
        "obligations/test_operators.py::test_are_the_same_for_the_same_value_and_key_only",
        "obligations/test_operators.py::test_moves_all_dates_of_a_patient_alike",
    ),
    "7 of several operators the most hiding wins": (
        "obligations/test_operators.py::test_of_several_operators_the_most_hiding_wins",
    ),
    "7 twins go too": ("obligations/test_letter.py::test_values_and_twins_stay_paired",),
    "7 narrative goes too": (
        "obligations/test_shadows.py::test_narratives_go_with_anything_hidden",
    ),
    "7 contained resources go too": (
        "obligations/test_shadows.py::test_a_contained_resource_goes_with_the_last_reference_to_it",
        "obligations/test_shadows.py::test_contained_resources_are_redacted_by_the_paths_of_their_type",
    ),
    "7 strings elsewhere that repeat it go too": (
        "obligations/test_shadows.py::test_strings_that_repeat_a_hidden_one_go",
    ),
    "7 what is hidden occurs nowhere": (
        "obligations/test_redact.py::test_a_token_at_a_redacted_path_occurs_nowhere",
    ),
    "7 search and sort keys that read it are refused": (
        "obligations/test_guard.py::test_what_reads_a_redacted_element_is_refused",
        "exchanges/people.yaml::a nurse may not search by what she may not see",
    ),
    "7 mandatory elements stay valid": (
        "obligations/test_redact.py::test_what_must_be_there_is_masked_instead_of_removed",
        "obligations/test_redact.py::test_redacted_samples_are_valid_and_redacting_again_changes_nothing",
    ),
    # ---- 8
    "8 a bad token is 401 and constant": (
        "exchanges/tokens.yaml::a bad token is refused, always in the same words",
        "enforcement/test_flow.py::test_an_unknown_caller_learns_nothing_of_the_shape_of_requests",
    ),
    "8 a shape that is not allowed is refused before upstream": (
        "exchanges/refused.yaml::what is not supported is refused by its shape",
        "exchanges/refused.yaml::a parameter that could betray, or that nobody knows, is refused",
    ),
    "8 a scope that does not cover is 403 before upstream": (
        "exchanges/scopes.yaml::a scope that does not cover the interaction is refused before anything is asked",
    ),
    "8 hide: as if the patient did not exist": (
        "worlds/test_worlds.py::test_what_is_hidden_might_as_well_not_exist",
    ),
    "8 tell: one constant 403": (
        "exchanges/hospital.yaml::a shut record and no patient at all get the same 403",
        "worlds/test_told_worlds.py::test_a_shut_record_might_as_well_not_exist",
    ),
    "8 a hidden resource is absent byte for byte": (
        "exchanges/reading.yaml::a hidden resource is absent, byte for byte",
    ),
    "8 absent from searches, counts and pages": (
        "exchanges/searching.yaml::a page is full although entries are hidden",
        "exchanges/counting.yaml::what is hidden counts for nothing",
        "worlds/test_random_worlds.py::test_hidden_rows_leave_no_trace",
    ),
    "8 a search in which nothing is visible is empty": (
        "exchanges/searching.yaml::a search for what is hidden finds nothing",
    ),
    "8 failures are a constant 503": (
        "test_errors.py::test_failures_ask_to_come_again_and_never_say_why",
        "wire/test_server.py::test_whatever_breaks_is_a_constant_503",
        "wire/test_server.py::test_the_journal_full_means_no_data",
    ),
    "8 a write onto a redacted view": NotBuilt("nothing is written yet", NOT_WRITTEN),
    "8 every refusal is in the journal with its true reasons": (
        "exchanges/hospital.yaml::the journal keeps which record was shut, and why",
        "enforcement/test_openness.py::test_the_journal_says_why_and_the_answer_does_not",
    ),
    "8 explain shows them to a reviewer only": (
        "enforcement/test_review.py::test_everybody_else_is_refused_and_that_is_recorded",
        "enforcement/test_review.py::test_a_reviewer_is_told_what_a_caller_would_get_and_why",
    ),
    # ---- 9
    "9 a grant is for one person, one patient and a time": (
        "decision/test_emergency.py::test_a_grant_of_another_time_patient_person_or_client_opens_nothing",
        "decision/test_emergency.py::test_the_case_of_a_grant_opens_nothing_to_who_has_none_for_the_patient",
        "enforcement/test_emergency.py::test_a_grant_runs_out",
    ),
    "9 patient, reason and justification": (
        "enforcement/test_emergency.py::test_a_body_that_is_not_exactly_what_is_asked_opens_nothing",
    ),
    "9 who may open one": (
        "enforcement/test_emergency.py::test_who_may_not_open_a_grant_is_refused_whatever_is_asked",
    ),
    "9 four hours by default": (
        "policy/test_break_glass.py::test_what_is_not_said_is_four_hours_and_ordinary_data",
    ),
    "9 a ceiling, and what it never opens": (
        "decision/test_emergency.py::test_what_a_grant_never_opens",
        "decision/test_emergency.py::test_adding_a_grant_discloses_nothing_above_the_ceiling_or_never_opened",
    ),
    "9 express opposition wins": (
        "decision/test_provisions.py::test_only_a_deny_that_names_break_glass_is_an_express_opposition",
        "decision/test_emergency.py::test_no_rule_lifts_an_express_opposition_or_the_deny_list",
    ),
    "9 start, use and end are journalled, the patient is told": (
        "enforcement/test_emergency.py::test_the_journal_says_who_why_and_whom_to_tell",
        "enforcement/test_emergency.py::test_a_grant_is_started_used_and_ended",
    ),
    "9 the review queue": (
        "enforcement/test_review_queue.py::test_a_grant_goes_from_open_to_ended_to_reviewed",
        "enforcement/test_review_queue.py::test_nobody_reviews_a_grant_of_their_own",
    ),
    "9 a token's purpose only from an issuer that is trusted so far": (
        "enforcement/test_emergency.py::test_a_trusted_issuers_word_is_enough_and_leaves_the_same_trace",
        "exchanges/scopes.yaml::break-glass in a token is no ceremony",
    ),
    "9 a header never grants": (
        "enforcement/test_emergency.py::test_words_of_the_client_are_no_ceremony",
        "enforcement/test_emergency.py::test_a_parameter_is_no_ceremony",
    ),
    # ---- 10
    "10 a write is judged twice": NotBuilt("nothing is written yet", NOT_WRITTEN),
    "10 what decisions read is written by whom the policy names": NotBuilt(
        "nothing is written yet; that no star scope covers it is tested",
        "identity/test_scopes.py::test_the_wildcard_never_writes_what_decisions_read",
    ),
    "10 the echo of a write passes the read filter": NotBuilt("nothing is written yet", NOT_WRITTEN),
    "10 a transaction is judged whole": NotBuilt("nothing is written yet", NOT_WRITTEN),
    "10 conditional writes are searches": NotBuilt("nothing is written yet", NOT_WRITTEN),
    # ---- 11
    "11 strict YAML": (
        "policy/test_strict.py::test_only_words_and_decimal_integers_are_resolved",
        "policy/test_strict.py::test_what_is_not_strict_is_refused_with_its_line",
    ),
    "11 the schema is printed from the model": (
        "policy/test_schemas.py::test_the_committed_schema_is_the_one_that_the_models_print",
    ),
    "11 every error with file and line": (
        "policy/test_load.py::test_a_broken_file_is_told_by_file_and_line",
        "policy/test_parse.py::test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file",
    ),
    "11 every rule can be reached": (
        "decision/test_reach.py::test_every_rule_that_ships_has_a_witness_and_the_engine_agrees",
        "decision/test_reach.py::test_an_idle_rule_changes_no_decision",
    ),
    "11 what no case lists is expected to be denied": (
        "policy/test_cases.py::test_every_combination_is_a_case_and_what_is_not_listed_is_denied",
        "decision/test_cases.py::test_a_permit_that_nobody_expects_is_found_at_the_line_of_the_principal",
    ),
    "11 a broken file never replaces a good one": (
        "app/test_reloading.py::test_a_broken_set_never_replaces_a_good_one",
    ),
    "11 every entry carries the digest of the policies": (
        "enforcement/test_house.py::test_the_entry_of_every_request_names_the_policies",
        "policy/test_load.py::test_the_digest_tells_the_period_of_a_campaign",
    ),
}  # fmt: skip


@cache
def named_in(file: Path) -> frozenset[str]:
    """The tests of a file, or what the conversations of a file are about."""
    if file.suffix == ".yaml":
        return frozenset(one["about"] for one in yaml.safe_load(file.read_text()))
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test")
    )


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return (ROOT / file).is_file() and name in named_in(ROOT / file)


@pytest.mark.parametrize("row", ROWS)
def test_every_rule_names_tests_that_exist(row: str) -> None:
    tests = ROWS[row]
    named = (tests.meanwhile,) if isinstance(tests, NotBuilt) else tests
    assert named
    assert [test for test in named if not exists(test)] == []


def test_every_chapter_has_rows_and_only_writes_are_not_built() -> None:
    assert {row.partition(" ")[0] for row in ROWS} == {str(chapter) for chapter in range(1, 12)}
    unbuilt = [row for row, tests in ROWS.items() if isinstance(tests, NotBuilt)]
    assert [row for row in unbuilt if not row.startswith(("8 a write", "10 "))] == []


def test_a_name_that_nobody_bears_is_found() -> None:
    assert exists("decision/test_combine.py::test_every_row_of_the_table")
    assert exists(NOT_WRITTEN)
    for wrong in ("decision/test_combine.py::test_no", "decision/test_no.py::test_no", "x"):
        assert not exists(wrong)
