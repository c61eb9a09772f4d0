//! One suite for both databases. On SQLite it always runs. On PostgreSQL it runs where `PORTCULLIS_TEST_POSTGRES` is the URL of
//! a server on which it may make databases: `cargo test --lib store::tests::postgres -- --ignored`; `.ci/run` starts one.

mod approvals;
mod audit;
mod bench;
mod claims;
mod connections;
mod crash;
mod faults;
mod keys;
mod locations;
mod nodes;
mod pins;
mod records;
mod reseal;
mod reseal_killed;
mod samples;
mod sealed;
mod tenants;

use bench::Bench;

macro_rules! on_both {
    ($($file:ident: $($story:ident)*;)*) => {
        mod sqlite {
            $($(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::Bench::on_sqlite(super::$file::$story).await;
            })*)*
        }

        mod postgres {
            $($(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
            async fn $story() {
                super::Bench::on_postgres(super::$file::$story).await;
            })*)*

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
            async fn fault_a_database_that_is_down_is_a_503_and_comes_back_without_a_restart() {
                super::Bench::on_postgres(super::faults::down_and_up_again).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs PORTCULLIS_TEST_POSTGRES, which .ci/run sets"]
            async fn fault_a_database_that_is_read_only_is_a_503_to_writers_only() {
                super::Bench::on_postgres(super::faults::read_only).await;
            }
        }
    };
}

on_both! {
    records:
        oauth_56_clients_are_kept_counted_and_forgotten_when_nobody_uses_them
        oauth_24_a_sign_in_is_taken_up_once
        sessions_end_one_by_one_or_all_of_a_person
        accounts_are_asked_about_by_one_caller_at_a_time
        a_yes_is_to_exactly_what_was_asked
        oauth_28_a_code_is_fresh_once_and_its_second_use_is_recognised
        a_refresh_token_is_first_once
        sec_a19_a_revoked_grant_is_revoked_for_every_reader
        signing_keys_succeed_each_other
        api_keys_are_revoked_once_and_their_use_is_noted
        oauth_38_an_assertion_is_good_once
        what_has_expired_is_swept_and_what_has_not_stays
        a_unit_of_work_that_is_not_committed_never_was;
    nodes:
        oauth_25_of_64_that_show_a_code_at_once_one_finds_it_fresh
        sec_a18_of_64_that_use_a_refresh_token_at_once_one_is_first
        two_nodes_that_start_at_once_sign_with_one_key
        two_nodes_see_each_others_commits
        nodes_that_start_at_once_make_the_tables_once;
    sealed:
        oauth_31_no_secret_stands_in_the_tables
        oauth_96_sealed_values_do_not_open_in_another_row
        fault_another_master_key_is_refused
        fault_an_earlier_master_key_opens_what_it_sealed
        fault_a_newer_schema_serves_an_older_gateway;
    connections:
        cl_14_a_connection_comes_back_as_it_was_and_a_new_one_takes_its_place
        connections_are_listed_by_person_and_page_by_page
        a_connection_is_marked_only_as_it_was_seen
        cl_18_a_connection_that_ends_is_gone_for_all_and_every_node_hears_of_it
        fault_a_connection_whose_secrets_do_not_open_can_still_be_ended
        how_connections_came_about_is_kept_for_ninety_days
        a_link_is_good_once_and_not_for_long
        cl_05_a_state_is_taken_up_once
        cl_11_a_registration_is_for_one_issuer_and_two_nodes_end_with_the_same
        oauth_96_secrets_of_a_connection_open_nowhere_else
        oauth_96_what_was_replaced_does_not_open_again
        oauth_31_of_a_connection_that_ended_no_byte_stays;
    approvals:
        a_call_waits_once_is_decided_once_and_is_taken_once
        sec_of_64_that_take_an_approval_at_once_one_gets_it
        sec_of_64_that_decide_at_once_one_does
        sec_an_approval_is_not_taken_for_anything_else_than_it_was_given_for
        what_is_too_late_or_taken_back_is_neither_decided_nor_taken
        ten_thousand_calls_that_wait_survive_a_restart
        who_approved_what_is_kept_for_ninety_days
        each_turn_of_a_call_is_handed_out_once_for_the_audit_log
        fault_of_64_that_look_at_once_each_turn_is_handed_to_one
        a_message_is_handed_out_until_it_has_arrived_and_not_before_it_is_due
        fault_of_64_that_look_at_once_each_message_is_handed_to_one;
    claims:
        cl_14_of_64_that_would_refresh_at_once_one_does
        fault_a_refresh_that_wakes_up_after_another_began_keeps_nothing
        fault_a_slow_refresh_that_nobody_took_over_is_not_lost
        fault_a_refresh_that_never_ended_stays_known_until_one_does
        a_refresh_comes_to_nothing_if_the_connection_changes_meanwhile;
    pins:
        sec_e2_of_64_that_pin_a_first_list_at_once_one_does_and_all_see_the_same
        sec_e2_a_pin_moves_only_by_an_approval_of_the_very_definition_that_waits
        what_was_there_first_can_be_approved_and_forgotten
        tools_are_listed_page_by_page_of_one_upstream_or_of_all
        every_node_hears_of_which_upstream_something_has_changed
        an_upstream_that_never_ends_to_have_new_tools_fills_no_disk;
    reseal:
        fault_kek_rotated_everything_opens_with_the_new_key_alone
        fault_kek_rotation_lets_whoever_writes_meanwhile_win
        fault_kek_rotation_leaves_what_does_not_open_and_goes_on;
    reseal_killed:
        fault_kek_rotation_killed_at_any_moment_loses_nothing_and_ends;
    audit:
        rows_of_the_audit_log_are_read_by_chain_and_from_the_newest_on
        fault_a_number_of_a_chain_is_given_once;
    tenants:
        sec_b1_what_one_tenant_does_changes_nothing_for_another;
}
