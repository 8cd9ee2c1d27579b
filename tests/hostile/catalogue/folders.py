"""STA: what a station keeps and returns, changed by others or by a slip, which is not a bundle; each has a test elsewhere."""

from tests.support.hostile import Cases

CASES = Cases()
CROSSINGS, FAULTS = "tests/crossings/test_", "tests/faults/test_"

for _number, _words, _where in [
    ("001", "an older copy of the state, put back", f"{CROSSINGS}station.py::test_a_state_that_is_older_than_the_journal_is_noticed"),
    (
        "002",
        "a link, a FIFO or a huge file for the state",
        f"{CROSSINGS}station.py::test_a_folder_that_is_not_as_it_should_be_is_never_taken_for_a_new_one",
    ),
    (
        "003",
        "a place for the station that leads in a circle",
        f"{CROSSINGS}odd_files.py::test_a_station_that_cannot_be_looked_for_is_not_taken_for_none",
    ),
    (
        "004",
        "a key, a journal, receipts that others may have written, or a link for them",
        f"{CROSSINGS}odd_files.py::test_a_part_of_the_station_that_others_may_have_written",
    ),
    ("005", "a FIFO or a device for a receipt", f"{CROSSINGS}odd_files.py::test_what_is_not_a_file_is_not_a_receipt"),
    ("006", "a FIFO or a device for a base", f"{CROSSINGS}odd_files.py::test_what_is_not_a_file_is_neither_a_base_nor_compared"),
    (
        "007",
        "a cosigner of the journal in a station's folder, while an import appends",
        f"{FAULTS}station.py::test_who_cosigns_while_an_import_runs_waits_and_neither_loses_the_others",
    ),
    (
        "008",
        "the index.json of a refused bundle as an image, its receipt as the signature",
        f"{CROSSINGS}receipts.py::test_what_was_refused_is_written_down_too",
    ),
    (
        "009",
        "other bytes for a layer of a delta, in another repository",
        f"{CROSSINGS}delta.py::test_other_bytes_in_another_repository_are_not_copied",
    ),
    (
        "010",
        "a delta that leans on more bundles than a screen has lines",
        f"{CROSSINGS}delta.py::test_of_many_bundles_that_a_delta_leans_on_a_few_are_named",
    ),
]:
    CASES.elsewhere(f"STA-{_number}", _words, _where)
