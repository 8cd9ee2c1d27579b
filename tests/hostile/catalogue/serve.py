"""SRV: clients of the embedded registry, and folders that it is told to serve, which are not bundles; each has a test elsewhere."""

from tests.support.hostile import Cases

CASES = Cases()
TESTS = "tests/unit/serving"

for _number, _words, _where in [
    (
        "001",
        "a request with two readings: lengths, encodings, blanks, line ends, hosts",
        "network.py::test_a_head_with_two_readings_is_400_and_what_is_hidden_behind_it_is_not_answered",
    ),
    ("002", "a request line with other blanks", "network.py::test_a_request_line_with_other_blanks_than_two_is_400"),
    (
        "003",
        "a length or an encoding by which two readers frame a body differently",
        "wire.py::test_a_body_that_two_readers_could_frame_in_two_ways_is_refused",
    ),
    (
        "004",
        "a host that is not served: a page with a name of its own for this machine",
        "network.py::test_a_host_that_is_not_served_is_421",
    ),
    ("005", "a page in a browser that begins an upload", "network.py::test_a_page_in_a_browser_begins_no_upload"),
    ("006", "a head that comes byte by byte", "limits.py::test_a_head_that_drips_ends"),
    ("007", "a body, a chunk's size or trailers that come byte by byte", "limits.py::test_a_body_that_drips_ends_and_leaves_nothing"),
    ("008", "an answer that is read byte by byte", "limits.py::test_a_client_that_reads_too_slowly_is_left_and_another_gets_all"),
    ("009", "a slow crowd on all places", "limits.py::test_a_crowd_that_drips_keeps_nobody_out"),
    ("010", "one address that wants all places", "limits.py::test_one_address_leaves_places_to_others"),
    ("011", "one address that fills the queue for places", "limits.py::test_one_address_cannot_fill_the_queue_for_places"),
    ("012", "many addresses of one network of IPv6", "limits.py::test_a_network_of_ipv6_is_one_client"),
    ("013", "more connections than threads", "network.py::test_a_thread_that_cannot_start_ends_one_connection_and_not_the_server"),
    ("014", "more uploads than one address may have", "limits.py::test_one_address_leaves_uploads_to_others"),
    ("015", "uploads that nobody goes on with", "limits.py::test_an_upload_that_nobody_goes_on_with_is_given_up_after_an_hour"),
    ("016", "an upload that is kept alive for days", "limits.py::test_an_upload_is_given_up_after_a_day_however_often_a_byte_comes"),
    ("017", "uploads of more bytes than all may have", "limits.py::test_uploads_have_a_greatest_size_together"),
    ("018", "uploads that fill the disk", "limits.py::test_uploads_leave_some_of_the_disk_free_for_manifests"),
    ("019", "an upload in one request that is cut", "limits.py::test_a_cut_upload_in_one_request_leaves_nothing"),
    (
        "020",
        "many large manifests that end together",
        "tests/hostile/test_serve_memory.py::test_many_pushes_of_large_manifests_that_end_together",
    ),
    ("021", "many slow readers of what is large", "tests/hostile/test_serve_memory.py::test_many_slow_readers_of_what_is_large"),
    (
        "022",
        "thousands of tags beside the manifest that is deleted",
        "limits.py::test_deleting_a_manifest_opens_nothing_of_tags_that_are_not_its_own",
    ),
    ("023", "a folder with a link in it", "network.py::test_a_link_in_the_folder_is_refused_with_words_and_nothing_is_freed"),
    (
        "024",
        "a link, FIFO, socket or folder in place of a file, while it is served",
        "network.py::test_what_is_no_regular_file_is_neither_read_nor_waited_for",
    ),
    ("025", "the same in place of a tag", "network.py::test_a_tag_that_is_no_regular_file_is_neither_read_nor_written"),
    (
        "026",
        "a link in place of a folder, while it is served",
        "network.py::test_a_folder_that_becomes_a_link_while_it_is_served_leads_nowhere",
    ),
    ("027", "a media type with a line end, on a medium", "network.py::test_a_media_type_on_a_medium_makes_no_header_of_its_own"),
    ("028", "tags that differ in case only", "network.py::test_each_tag_has_a_name_that_folding_keeps_apart"),
]:
    CASES.elsewhere(f"SRV-{_number}", _words, _where if _where.startswith("tests/") else f"{TESTS}/test_{_where}")
