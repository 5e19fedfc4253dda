# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""The sentences of docs/security.md about records of pulls, TLS, and the end of proofs."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.architecture.tag_sentences import ADVICE

ACCESS_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        # Records of pulls
        "The catalog records which address pulled which image, for at most 400 days, and the newest 250,000 of these records.": "unit/catalog/test_last_used.py::test_records_of_ever_new_clients_are_bounded",
        "`entrepot images warm --pulled-since` uses these records.": "integration/test_warm_command.py::test_what_was_pulled_is_a_source",
        "The log has the same facts.": "integration/test_pull_base.py::test_the_address_of_a_client_is_that_of_its_connection",
        'With `access.mode = "users"`, or with `access.records = true`, each answer is recorded too, with the user and the rule, for `access.records_for` ([access](access.md#who-has-pulled-what)); other users of the machine cannot read these records, and no password and no token is in them.': "integration/test_access_records.py::test_what_was_served_is_recorded integration/test_record_settings.py::test_the_last_answers_before_a_stop_are_recorded unit/access/test_record_files.py::test_old_files_are_deleted unit/access/test_record_files.py::test_other_users_cannot_read_records integration/test_access_records.py::test_no_secret_is_recorded",
        "What clients that have proved nothing did not get is in files of its own (`failures.jsonl`), and so is what a rule has given to them (`anonymous.jsonl`).": "integration/test_flooded_records.py::test_the_records_of_pulls_are_in_files_of_their_own unit/access/test_record_collector.py::test_what_a_rule_gives_to_anybody_is_recorded_elsewhere",
        "Each of both has a quarter of `access.records_limit`, so whoever fills them pushes out no record of a user.": "unit/access/test_record_files.py::test_files_of_another_group_are_not_deleted unit/access/test_record_collector.py::test_what_anybody_can_make_leaves_room_for_others",
        "If clients come through a proxy, the recorded address is the proxy's, unless `server.trusted_proxies` names its network.": "integration/test_pull_base.py::test_the_address_of_a_client_is_that_of_its_connection integration/test_trusted_proxies.py::test_the_log_and_the_history_have_the_address_of_the_client",
        "tokens of an upstream that are kept | 1,000, and 4 MiB together | the one that was used longest ago is forgotten": "unit/upstream/test_client.py::test_tokens_are_bounded unit/upstream/test_exact_limits.py::test_size_of_all_tokens",
        "It writes no core dump: the limit of its processes is 0.": "unit/test_crash_output.py::test_no_core_dump_is_written integration/test_crash_output.py::test_processes_that_die_show_no_secret",
        "Programs that collect crashes, such as `systemd-coredump`, keep to this limit.": ADVICE,
        "tags in one answer, whatever `n` is | 10,000 | the others come by the `Link` of the answer": "integration/test_pull_lists.py::test_a_page_of_tags_has_a_limit",
        "recorded lists of tags or referrers of more than 256 KiB that are read at once | 1 | the others wait; shorter ones do not": "unit/mirror/test_tags_and_referrers.py::test_long_lists_are_read_one_at_a_time",
        # Tags
        "A tag whose image was deleted by `storage.keep_for` is still known.": "unit/mirror/test_expired_tags.py::test_a_tag_is_known_after_its_image_has_expired",
        # What neither mode does
        "An end is a limit for what was forgotten.": ADVICE,
        "If the clock of the machine is set back, tokens and certificates that have ended count again: to take something back, remove the token or the user.": "unit/access/test_accounts.py::test_an_end_follows_the_clock_and_a_removal_does_not",
        # TLS
        "With `tls_cert` and `tls_key`, the mirror speaks TLS 1.2 and 1.3, and nothing older.": "integration/test_serve_tls.py::test_images_come_over_tls unit/server/test_live_tls.py::test_older_versions_are_refused unit/server/test_live_tls.py::test_newer_versions_are_spoken",
        "If the files change, new connections use them within a second; those that are open stay, and half of a pair is not used.": "integration/test_certificate_renewal.py::test_a_renewed_certificate_is_used_within_a_second integration/test_certificate_renewal.py::test_half_a_pair_is_not_used",
        'With `client_ca` and `access.mode = "users"`, the common name in a client\'s certificate says who it is, if there is a user of this name.': "integration/test_client_certificates.py::test_a_certificate_says_who_asks",
        "A client may have none, but a certificate that cannot be verified ends the handshake.": "integration/test_client_certificates.py::test_a_certificate_says_who_asks integration/test_client_certificates.py::test_a_certificate_of_another_authority_ends_the_handshake",
        "An answer that is repeated from memory is never sent to a client with another certificate.": "integration/test_client_certificates.py::test_requests_at_once_are_answered_to_their_own_client unit/api/test_replaying_protocol.py::test_an_answer_is_for_its_certificate",
        "There is no list of revoked certificates: remove the user, who pulls nothing more within a second, also on open connections.": "integration/test_client_certificates.py::test_a_removed_user_pulls_nothing_more",
        "The same holds for TLS sessions that a client resumes: that the user is removed, that the certificate has ended or that its authority is not in `client_ca` any more counts for them too.": "integration/test_resumed_sessions.py::test_a_removed_user_pulls_nothing_by_a_former_session integration/test_resumed_sessions.py::test_a_certificate_ends_in_a_session_too integration/test_resumed_sessions.py::test_a_session_ends_with_the_authority_of_its_certificate",
        "The rest of a blob that is being sent to a removed user, or by a removed token, is not sent.": "integration/test_access_changes.py::test_a_running_answer_ends_with_its_account unit/access/test_control.py::test_another_password_ends_the_answers_of_the_former_one",
        "Whoever has the `ca.key` of `entrepot tls` can play your mirror for its clients, and any user for your mirror: only its owner can read the file, and the mirror does not need it, so you can keep it elsewhere.": "unit/access/test_certificates.py::test_keys_are_secret",
    }
)
