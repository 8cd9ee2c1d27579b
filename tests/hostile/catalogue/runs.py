"""RUN: other writers at the same time, and runs that end early."""

from tests.support.hostile import Cases

CASES = Cases()

_TESTS = {
    "tests/crossings/test_races.py": [
        ("two who sign one image at once", "test_two_that_sign_one_image_at_once_both_stand_at_the_end"),
        (
            "two imports at once that bring evidence of one image each",
            "test_two_imports_at_once_that_bring_evidence_each_leave_both_pieces",
        ),
        ("a signature that another writer overwrites", "test_a_signature_that_another_writer_overwrites_is_joined_again_at_the_end"),
        (
            "a list of referrers that another writer overwrites",
            "test_a_list_of_referrers_that_another_writer_overwrites_is_joined_again_at_the_end",
        ),
        ("evidence that others keep replacing", "test_evidence_that_others_keep_replacing_is_named_and_not_called_imported"),
        ("a tag that comes up while an import runs", "test_a_tag_that_comes_up_while_an_import_runs_is_not_overwritten"),
        ("a blob that a registry takes and loses", "test_a_blob_that_a_registry_took_and_lost_is_named"),
    ],
    "tests/interop/test_races.py": [
        ("two imports at once, at the registries of others", "test_two_imports_at_once_that_bring_evidence_each_leave_both_pieces"),
        ("a tag that comes up, at the registries of others", "test_a_tag_that_comes_up_while_an_import_runs_is_moved_by_replace_alone"),
    ],
    "tests/faults/test_interrupts.py": [
        ("two exports to one name at once", "test_of_two_exports_to_one_name_one_is_whole"),
        ("an export whose folder is moved away", "test_an_export_whose_folder_is_moved_away_leaves_all_as_it_was"),
        ("an export whose folder becomes read-only", "test_an_export_whose_folder_becomes_read_only_leaves_all_as_it_was"),
        ("a disk with room for some of three files", "test_whatever_room_a_disk_has_an_export_leaves_all_three_as_they_were_or_all_new"),
    ],
    "tests/faults/test_together.py": [
        ("an export killed at any step of naming its files", "test_a_kill_at_any_step_never_leaves_a_file_beside_what_is_about_another"),
    ],
    "tests/unit/content/test_together.py": [
        ("a disk without locks, links or direct writes", "test_a_file_system_without_locks_links_or_direct_writes_gets_all_of_them"),
        ("a journal that no run wrote, in the folder of the output", "test_a_journal_that_no_run_wrote_does_nothing"),
    ],
    "tests/faults/test_import_killed.py": [
        ("an import killed at any request", "test_whenever_it_is_killed_nothing_half_done_has_a_name_and_the_next_run_completes"),
    ],
    "tests/faults/test_injected.py": [
        (
            "an extract killed at any write, sync, name or read",
            "test_an_extract_that_fails_anywhere_lists_nothing_half_and_the_next_completes",
        ),
    ],
    "tests/crossings/test_export.py": [
        ("a folder, FIFO, link, socket or other bytes in a cache", "test_what_is_planted_in_a_cache_is_passed_over_and_said_once"),
    ],
    "tests/unit/bundle/test_foreignarchive.py": [
        ("an archive that two readers of tar read in two ways", "test_what_two_readers_could_read_in_two_ways_is_refused"),
    ],
    "tests/faults/test_journal.py": [
        ("an append to a journal killed at any write, sync or name", "test_an_append_killed_anywhere_loses_nothing_and_the_next_goes_on"),
    ],
    "tests/interop/test_journal.py": [
        (
            "a journal rewritten, cut, reordered or forked by who has its key",
            "test_a_journal_written_anew_by_who_has_the_key_is_refused_by_an_earlier_checkpoint",
        ),
        ("a journal changed by who lacks its key", "test_what_others_changed_is_refused_by_both"),
    ],
    "tests/unit/cli/test_journal.py": [
        ("a journal that a cosigner is asked to vouch for twice", "test_a_cosigner_refuses_what_does_not_go_on_from_there"),
    ],
    "tests/crossings/test_delta.py": [
        (
            "a layer that a delta leaves out and the registry loses in between",
            "test_a_layer_that_the_destination_loses_in_between_leaves_nothing_named",
        ),
        ("one that it loses when its manifest is put", "test_a_layer_that_is_lost_when_its_manifest_is_put_leaves_no_tag"),
        ("a base that lies", "test_a_base_that_lies_makes_a_bundle_that_is_not_whole_and_nothing_enters"),
        ("a base by somebody else", "test_a_base_by_somebody_else_is_refused_where_a_key_was_given"),
        ("an earlier bundle that nobody trusted has sealed", "test_an_earlier_bundle_must_be_sealed_by_who_may"),
        ("an earlier bundle that is damaged", "test_a_damaged_earlier_bundle_leaves_nothing_named"),
        ("a receipt in the station folder that somebody changed", "test_a_receipt_that_somebody_changed_is_not_returned_nor_believed"),
    ],
    "tests/crossings/test_station.py": [
        ("a bundle that is older than the last one", "test_an_older_bundle_is_refused_and_changes_nothing"),
        ("two bundles with one number", "test_another_bundle_with_the_same_number_is_refused_and_both_are_named"),
        ("a bundle that is left out", "test_a_gap_is_told_and_stays_in_the_status"),
        ("a clock that was set back", "test_a_clock_that_was_set_back_lets_nothing_in_that_has_expired"),
        (
            "a station folder that is lost, damaged, huge, a link, open to others or another station's",
            "test_a_folder_that_is_not_as_it_should_be_is_never_taken_for_a_new_one",
        ),
        ("a station's key that stands in trust", "test_a_key_that_stands_in_trust_cannot_be_the_stations"),
    ],
    "tests/faults/test_station_injected.py": [
        (
            "a station killed or failing at any write, sync, name or read",
            "test_an_import_that_fails_anywhere_loses_nothing_that_was_told_and_the_next_says_what_it_lacked",
        ),
    ],
    "tests/faults/test_station.py": [
        (
            "imports at once into one station",
            "test_imports_at_once_into_one_station_come_one_after_the_other_and_the_highest_number_stays",
        ),
    ],
}

for _number, (_path, _words, _name) in enumerate(((path, *case) for path, cases in _TESTS.items() for case in cases), 1):
    CASES.elsewhere(f"RUN-{_number:03}", _words, f"{_path}::{_name}")
