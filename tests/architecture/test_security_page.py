# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""docs/security.md says only what tests show: each sentence is in this table with its tests.

A row of a table on the page counts as a sentence.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from aiohttp.web_protocol import MAX_MSG_QUEUE_SIZE

from registry.access import login_limit, passwords
from registry.api import connection, open_requests, socket_writing, tags_and_referrers
from registry.catalog import upstream_lists
from registry.content import pull_log
from registry.mirror import question_limit, repository_list
from registry.oci import byte_ranges, manifest
from registry.server import descriptors, handshakes, listener, open_connection
from registry.settings.model import LimitSettings
from registry.upstream import (
    client,
    documents,
    framing,
    link_header,
    pagination,
    tokens,
    www_authenticate,
)
from tests.architecture.access_sentences import ACCESS_SENTENCES
from tests.architecture.console_sentences import CONSOLE_SENTENCES
from tests.architecture.page_sentences import list_sentences
from tests.architecture.source import ROOT, read_sources
from tests.architecture.tag_sentences import ADVICE, TAG_SENTENCES
from tests.architecture.threat_sentences import THREAT_SENTENCES
from tests.harness.large_layer import KIB, MIB

PAGE = ROOT / "docs" / "security.md"
# The sentences of the page, and the tests of which one fails if it is not true any more.
SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "Read this page before other people depend on your mirror.": ADVICE,
        # Trust
        "A blob or manifest that is pulled by digest is verified by the mirror, and again by the client.": "faults/test_wrong_bytes.py::test_no_reader_gets_a_complete_wrong_blob",
        "For a pull by tag, you trust the upstream that says what the tag means, and this mirror.": ADVICE,
        "If that is not enough, pull by digest or verify signatures.": ADVICE,
        "If an upstream has several endpoints, the setting `names` says which of them decide what a tag means ([below](#who-says-what-a-tag-means)): by default, only those of the registry itself.": "integration/test_tag_names.py::test_endpoints_disagree unit/settings/test_trusted_endpoints.py::test_whom_the_settings_trust",
        "No endpoint can give you wrong bytes for a digest.": "integration/test_faulty_manifests.py::test_a_manifest_under_a_wrong_digest_is_refused",
        "A client that was sent some of them is cut before the last byte, and its next request gets right ones if an endpoint has them.": "faults/test_wrong_bytes.py::test_no_reader_gets_a_complete_wrong_blob faults/test_liars.py::test_the_retry_is_right_and_the_liar_is_named",
        "The endpoints that sent wrong bytes are named in the log and in `entrepot upstreams ls`.": "unit/mirror/test_repair.py::test_two_liars_are_both_found faults/test_several_endpoints.py::test_wrong_bytes_are_replaced unit/mirror/test_repair.py::test_the_liar_is_found faults/test_liars.py::test_a_liar_is_last_until_it_has_sent_right_bytes",
        "If there are other endpoints, they are asked last, and clients are sent nothing of them before the digest was right.": "unit/upstream/test_suspects.py::test_a_liar_is_suspect_until_it_has_sent_right_bytes",
        'With `stream = "proven"`, so it is for every endpoint that has not sent a right blob yet.': "unit/mirror/test_unproven_endpoints.py::test_nothing_is_sent_before_the_digest_was_right unit/upstream/test_proven_endpoints.py::test_proof_is_right_bytes",
        "If the disk takes no blobs, only endpoints that have are asked for what is passed through, and the pull fails if there is none.": "unit/upstream/test_proven_endpoints.py::test_only_proven_endpoints_are_asked_for_what_cannot_be_held_back unit/mirror/test_passthrough.py::test_bytes_that_need_a_proof_are_not_passed_through",
        # No open proxy
        "The mirror connects only to configured upstreams, whatever name a client sends.": "integration/test_routing.py::test_the_mirror_is_no_open_proxy",
        "A name that looks like a registry that is not configured is answered as unknown; the mirror does not ask the default upstream for it.": "integration/test_routing.py::test_the_mirror_is_no_open_proxy",
        "If containerd names a registry in `ns`, only this registry is asked: a name such as `harbor.lan/docker.io/acme/app` is never answered with Docker Hub's `acme/app`.": "unit/mirror/test_routing.py::test_ns_is_the_registry_although_the_name_begins_with_another",
        "The mirror follows at most five redirects, and none from https to http, unless the settings of this upstream allow it (`allow_http_redirects`).": "unit/upstream/test_endpoint.py::test_redirects_end_after_five unit/upstream/test_redirects.py::test_https_never_becomes_http unit/upstream/test_redirects.py::test_setting_allows_http_on_another_host",
        "An upstream at a public address cannot send the mirror to a private one, neither by its address nor by a name: the address of each such connection is checked when it is made (`allow_private_redirects` allows it; link-local addresses and the ports of the mirror itself stay refused).": "unit/upstream/test_redirects.py::test_public_host_never_leads_inside unit/upstream/test_addresses.py::test_name_leads_nowhere_inside unit/upstream/test_redirects.py::test_setting_allows_private_redirects unit/upstream/test_redirects.py::test_link_local_addresses_stay_refused unit/upstream/test_addresses.py::test_own_port_is_refused",
        "Behind a `proxy`, the proxy connects, and only addresses in URLs are checked.": "unit/upstream/test_addresses.py::test_where_a_server_may_send_us integration/test_upstream_refusals.py::test_blobs_in_a_private_storage",
        "The mirror does not send its `Authorization` header to the target of a redirect, and it sends the target's query unchanged.": "unit/upstream/test_endpoint.py::test_blob_comes_through_login_and_redirect integration/test_upstream_redirects.py::test_blobs_are_fetched_where_they_are_redirected_to",
        "Of a link to the next page of a list, it uses only the query.": "unit/upstream/test_pagination.py::test_only_the_query_of_a_link_is_used",
        "A request that comes back to the mirror, directly or over other mirrors, is refused with 508 ([record 0028](decisions/0028-requests-in-a-circle.md)).": "unit/api/test_routes.py::test_own_requests_are_refused integration/test_loops.py::test_two_mirrors_in_a_circle_say_so",
        "Two mirrors do not wait for each other's answer to the same question either: each is refused with 508 within a second.": "integration/test_loops.py::test_mirrors_that_wait_for_each_other_say_so unit/mirror/test_circles.py::test_a_circle_is_refused",
        # Credentials
        "The mirror sends an upstream's password only to the registry's own hosts (its name and its aliases) and to the token servers in `auth_realms`.": "integration/test_upstream_credentials.py::test_a_foreign_realm_is_not_told_the_password",
        "A name without a port means the usual port only: another port of the same host may belong to somebody else.": "unit/upstream/test_login.py::test_password_goes_to_one_port",
        "A server that has TLS gets no password over plain http, and is not trusted with names over it.": "unit/settings/test_password_servers.py::test_a_server_with_tls_gets_no_password_without_it unit/settings/test_trusted_endpoints.py::test_whom_the_settings_trust",
        "It asks any other endpoint anonymously, such as an accelerator.": "integration/test_upstream_credentials.py::test_an_accelerator_never_gets_anything_of_ours",
        "Passwords are read from files.": "unit/settings/test_loading.py::test_password_comes_from_its_file",
        "They appear in no log, in no error, and not in `config show`.": "unit/settings/test_model.py::test_nothing_shows_a_secret",
        "If the program crashes, it prints no values of variables, arguments or results; in messages of libraries, what looks like credentials, a token, a password in a URL or the query of a URL is replaced by asterisks ([record 0044](decisions/0044-planted-secrets-and-supply-chain.md)).": "unit/test_crash_output.py::test_a_crash_shows_no_secret unit/test_crash_output.py::test_each_kind_of_secret_is_masked integration/test_crash_output.py::test_processes_that_die_show_no_secret",
        # Other users of the machine
        "A new data folder can be read only by the user that runs the mirror.": "unit/store/test_data_folder.py::test_a_new_folder_is_private",
        "If others can read an existing one, a password file, the key of `tls_key` or a settings file with the password of a `proxy`, `serve` and `config check` say so.": "unit/settings/test_exposure.py::test_what_others_can_read_is_named",
        "They also say so if others can change such a file.": "unit/settings/test_exposure.py::test_what_others_can_read_is_named",
        "Links in the place of files that are about to be written are not followed.": "unit/store/test_links.py::test_links_are_not_followed",
        # Private images
        'With `access.mode = "open"`, every client that reaches the mirror can pull every image that your configured credentials can see: restrict who can reach `server.listen`.': ADVICE,
        'With `"users"`, rules decide who may pull what, before anything is looked up, and a registry with a username is closed to whoever no rule names it for ([access](access.md), [record 0040](decisions/0040-users-tokens-and-rules.md)).': "integration/test_access.py::test_every_endpoint_asks_the_rules unit/access/test_rules.py::test_a_rule_for_everything_does_not_open_a_private_registry",
        "What somebody may not pull is answered like what does not exist.": "integration/test_access.py::test_every_endpoint_asks_the_rules",
        "Passwords are stored as bcrypt and tokens as SHA-256, in `accounts.json`; nothing of them is logged.": "unit/access/test_accounts.py::test_the_secret_of_a_token_is_not_stored integration/test_access.py::test_secrets_are_not_logged",
        "The mirror does not serve a blob of one repository under the name of another repository.": "integration/test_pull_blobs.py::test_bytes_are_shared_and_permission_is_not",
        "Bytes that only an upstream with a user name has delivered are not used for any other upstream that merely names their digest, in a manifest or in an index.": "unit/mirror/test_deliveries.py::test_a_digest_alone_opens_nothing unit/mirror/test_revalidation.py::test_a_private_manifest_is_not_for_who_names_its_digest integration/test_trust_domains.py::test_a_private_manifest_is_not_for_who_names_its_digest unit/settings/test_trust_domains.py::test_each_login_is_a_domain_of_its_own",
        "That one has to send some of them first, from a random place or, without ranges, the first MiB; until then, the answer is the same as if they were not stored.": "unit/mirror/test_deliveries.py::test_a_part_anywhere_is_compared unit/mirror/test_deliveries.py::test_without_ranges_the_first_part_is_not_enough integration/test_trust_domains.py::test_naming_a_private_digest_is_answered_as_if_it_was_not_here",
        "Whoever has the bytes can notice that they are stored, because such a proof is shorter than a download.": "integration/test_trust_domains.py::test_a_shared_layer_crosses_the_link_once",
        "If no manifest refers to a blob, the upstream is asked whether the repository has it, and again after a day; while it does not answer, its former answer counts ([record 0030](decisions/0030-whose-bytes-they-are.md)).": "unit/mirror/test_grants.py::test_a_grant_counts_for_a_day unit/mirror/test_grants.py::test_a_refusal_ends_a_grant unit/mirror/test_grants.py::test_an_outage_ends_no_grant",
        # Clients' secrets
        "If a mirror asked dockerd to log in, dockerd would send its user's password for Docker Hub.": ADVICE,
        "This mirror asks only clients that have named one of `access.login_hosts`, with nothing before `/v2/` and without `ns`.": "integration/test_pull_base.py::test_no_answer_ever_challenges integration/test_access.py::test_a_mirror_never_challenges",
        "It never passes on what clients send (`Authorization`, cookies), except for the names of mirrors in `Via`, and no log and no answer quotes any part of it, also if the request is malformed.": "architecture/test_security_page.py::test_few_headers_of_clients_are_read unit/upstream/test_via.py::test_names_are_passed_on integration/test_secrets.py::test_passwords_are_ignored integration/test_secrets.py::test_bytes_that_are_no_request_are_not_quoted",
        "Headers of up to 64 KiB are ignored; a larger one is refused with 400.": "integration/test_secrets.py::test_passwords_are_ignored",
        # Hostile upstreams
        "The mirror refuses manifests of more than 4 MiB, ambiguous manifests (CVE-2021-41190), docker and artifact manifests that do not name their own media type, JSON with duplicate keys, more than 10,000 descriptors or 300,000 values, bodies without end, and bodies longer than their descriptor says.": "integration/test_faulty_manifests.py::test_faulty_manifests_are_refused unit/oci/test_manifest_values.py::test_values_are_limited",
        "It never decompresses a layer.": "architecture/test_security_page.py::test_nothing_is_decompressed",
        "It uses a digest as a file name only after the digest matched a fixed pattern.": "unit/oci/test_digest.py::test_anything_else_is_refused",
        "No client gets unverified bytes of a registry that it did not ask, or waits for such a registry: an upstream that is slow or sends wrong bytes hurts only those who pull from it.": "unit/mirror/test_downloads_apart.py::test_wrong_bytes_reach_only_those_who_asked_for_them unit/mirror/test_downloads_apart.py::test_nobody_waits_for_a_registry_that_drips unit/mirror/test_downloads_apart.py::test_nobody_waits_for_the_first_byte_of_another_registry unit/upstream/test_download_budget.py::test_a_slow_upstream_does_not_keep_all_connections",
        "Space is made as bytes land, whatever size an upstream states.": "unit/mirror/test_stated_sizes.py::test_a_stated_size_evicts_nothing unit/mirror/test_stated_sizes.py::test_space_is_made_as_bytes_land",
        "All downloads of a process share the memory and the connections of `[limits]`.": "unit/upstream/test_download_budget.py::test_memory_is_never_exceeded unit/upstream/test_download_budget.py::test_others_wait_in_their_order unit/mirror/test_blobs.py::test_passing_through_needs_a_connection_of_the_budget faults/test_download_memory.py::test_many_slow_downloads_need_little_memory",
        "Tags that are outside of the grammar are left out of lists.": "unit/upstream/test_pagination.py::test_entries_that_are_no_tags_are_left_out",
        "A login is remembered only after it worked: a captive portal that answers for a registry is forgotten when the registry answers again.": "unit/upstream/test_login.py::test_portal_is_forgotten unit/upstream/test_login.py::test_portal_in_the_middle_is_forgotten unit/upstream/test_login.py::test_token_service_of_a_portal_is_forgotten",
        "If a client asks again and again for what is broken, this stops requests for that repository only; the upstream counts as down if several repositories fail, or if there is no connection.": "unit/upstream/test_health.py::test_broken_repository_stops_nobody_else unit/upstream/test_health.py::test_several_broken_repositories_stop_all unit/upstream/test_health.py::test_no_connection_stops_all",
        "Clients see the name of a registry and what kind of failure it was; addresses of endpoints, user names and the names of other upstreams are only in the log.": "unit/api/test_headers.py::test_clients_see_no_address_and_no_user integration/test_upstream_refusals.py::test_error_says_what_was_refused integration/test_upstream_refusals.py::test_wrong_password_names_the_user",
        "An upstream has limits, whatever it sends:": "faults/test_hostile_upstream.py::test_every_face_gets_an_answer",
        # The table of the limits of an upstream
        "interim answers (1xx) before an answer | 16, of 8 KiB each | the request fails": "unit/upstream/test_framing.py::test_interim_answers_are_counted_in_any_pieces unit/upstream/test_framing.py::test_endless_framing_ends",
        "head of an answer | 256 KiB | the request fails": "unit/upstream/test_exact_limits.py::test_length_of_a_head unit/upstream/test_framing.py::test_endless_framing_ends",
        "bytes between the chunks of a body | 64 KiB, and a quarter of the content | the request fails": "unit/upstream/test_exact_limits.py::test_bytes_between_chunks unit/upstream/test_framing.py::test_endless_framing_ends unit/upstream/test_framing.py::test_usual_framing_is_read",
        "what is read of a challenge, of a `Link` header | 8 KiB, 16 KiB | the rest is ignored": "unit/upstream/test_exact_limits.py::test_length_of_a_challenge unit/upstream/test_exact_limits.py::test_length_of_a_link",
        "time without a byte of content | 20 s | the request fails": "faults/test_stalls.py::test_a_stall_is_asked_again faults/test_stalls.py::test_the_real_stall_limit",
        "answer of a token service | 1 MiB, 20 s | the request fails": "faults/test_hostile_upstream.py::test_every_face_gets_an_answer unit/upstream/test_login.py::test_hanging_token_service_ends",
        "life of a token | 1 minute to 24 hours | it is shortened or prolonged": "unit/upstream/test_exact_limits.py::test_life_of_a_token",
        "page of a list | 4 MiB, 400,000 values | the list fails": "unit/upstream/test_exact_limits.py::test_length_of_a_page unit/upstream/test_exact_limits.py::test_values_of_a_document faults/test_hostile_upstream.py::test_every_face_gets_an_answer unit/upstream/test_list_limits.py::test_values_are_counted_before_they_take_memory",
        "list | 16 MiB, 250,000 tags or 10,000 referrers, 1,000 pages, 20 s | the rest is left out, with a `Warning`": "unit/upstream/test_exact_limits.py::test_length_of_a_list unit/upstream/test_exact_limits.py::test_entries_of_a_list unit/upstream/test_list_limits.py::test_long_list_is_cut unit/upstream/test_list_limits.py::test_referrers_are_counted unit/upstream/test_pagination.py::test_list_that_takes_too_long_is_cut_with_a_warning",
        "lists of more than 256 KiB that are read at once | 2 for each upstream and worker | the others wait": "unit/upstream/test_list_limits.py::test_only_some_long_lists_are_read_at_once",
        "objects and lists in each other, in a list of referrers | 32 | the entry is left out": "unit/upstream/test_list_limits.py::test_deep_referrers_are_left_out",
        "recorded lists of names and digests that are not stored | 1,000, of 64 KiB each | the oldest are deleted": "unit/catalog/test_upstream_lists.py::test_most_lists_of_what_is_not_stored unit/catalog/test_upstream_lists.py::test_longest_list_that_is_recorded unit/catalog/test_upstream_lists.py::test_lists_of_what_is_not_stored_are_bounded unit/catalog/test_upstream_lists.py::test_enormous_list_is_not_recorded",
        "recorded list of what is stored | 4 MiB | it is not recorded": "unit/catalog/test_upstream_lists.py::test_longest_list_that_is_recorded",
        # Hostile bundles
        "Sizes and digests come from `bundle.json`, which is signed.": "unit/bundle/test_create.py::test_openssl_accepts_the_signature",
        "The mirror reads only regular files whose names match a fixed pattern, follows no link, and writes only digests that the lock names.": "property/test_bundle_readers.py::test_links_in_a_folder_are_not_followed",
        "It refuses documents that are too deep, too long or ambiguous, manifests that contradict the lock, and indexes more than 8 deep.": "property/test_bundle_readers.py::test_manifests_have_to_agree_with_the_lock",
        "`[bundles] keys` says whose bundles may be imported; then a bundle without a signature is refused too.": "integration/test_bundle_import.py::test_pinned_keys_decide",
        "With `--key` too, the signature has to be made with a key of both.": "unit/bundle/test_policy.py::test_a_key_of_both_is_needed",
        "The signature is checked over the same bytes that are used.": "integration/test_bundle_import.py::test_pinned_keys_decide",
        # Open ports
        "If you put a reverse proxy in front, turn off its compression and buffering, and write its network into `server.trusted_proxies`: then the log, the rules and the limits use the addresses of the clients.": "integration/test_trusted_proxies.py::test_rules_use_the_address_of_the_client integration/test_trusted_proxies.py::test_the_log_and_the_history_have_the_address_of_the_client",
        "What any other client says in `Forwarded` or `X-Forwarded-For` is not believed, and neither is a proxy whose two headers say different things.": "integration/test_trusted_proxies.py::test_headers_of_others_are_not_believed unit/access/test_proxies.py::test_headers_that_disagree_are_not_believed",
        "A client whose address is not known in this way is in no group of `access.networks`, also if its proxy is.": "integration/test_trusted_proxies.py::test_a_client_is_never_taken_for_its_proxy",
        # Limits
        "At a limit the mirror closes the connection that is the least useful, or it answers 503 or 429 with `Retry-After`.": "unit/server/test_room_for_clients.py::test_the_oldest_idle_connection_makes_room unit/server/test_room_for_clients.py::test_without_room_a_client_is_told_so integration/test_request_limits.py::test_requests_of_a_client_behind_a_proxy_are_counted integration/test_request_limits.py::test_a_download_has_so_many_readers",
        "It never waits for a client without a limit.": "unit/server/test_connections.py::test_a_silent_client_is_closed unit/server/test_connections.py::test_a_head_that_is_dribbled_is_cut unit/server/test_tls_connections.py::test_a_handshake_has_its_time unit/server/test_connections.py::test_idle_connections_are_closed unit/server/test_connections.py::test_who_does_not_read_is_cut unit/server/test_connections.py::test_an_endless_body_is_cut_after_the_answer",
        "Limits of connections and of requests are for each worker process.": "unit/server/test_limits.py::test_connections_are_planned unit/server/test_limits.py::test_overload_is_explained unit/mirror/test_question_limit.py::test_who_asks_for_too_much_is_refused",
        "In `/metrics`, `refused` is `entrepot_refused_connections_total`, and `cut` is `entrepot_cut_connections_total`, with the `reason` in parentheses.": "faults/attacks/test_attacks.py::test_an_attack_ends unit/server/test_room_for_clients.py::test_one_address_does_not_take_all",
        "The settings are in `[limits]` of [config/entrepot.toml](../config/entrepot.toml).": "unit/settings/test_model.py::test_shipped_file_mentions_every_setting",
        # The table of the limits of connections
        "connections (`connections`) | a third of the descriptors after 256, at most 10,000 | the connection without a request that was idle longest is closed, then one whose client has accepted nothing for 10 s; without such a one the new client gets 503, over TLS only the end of its connection, and `/readyz` says so | cut (`room for others`), refused (`connections`)": "unit/server/test_limits.py::test_connections_are_planned unit/server/test_room_for_clients.py::test_the_oldest_idle_connection_makes_room unit/server/test_room_for_clients.py::test_who_does_not_read_makes_room unit/server/test_room_for_clients.py::test_without_room_a_client_is_told_so faults/attacks/test_attacks.py::test_overload_is_told",
        "connections of one address, or of one IPv6 /64 network (`connections_per_address`) | half of those, at least 64 | the same among its own connections | cut (`room for others`), refused (`address`)": "unit/server/test_limits.py::test_connections_are_planned unit/server/test_room_for_clients.py::test_one_address_does_not_take_all unit/settings/test_client_networks.py::test_what_counts_as_one_address",
        "descriptors of a process | the hard limit, at most 1,048,576 | an idle connection and the new one are closed; from nine tenths on, `/readyz` says so | refused (`descriptors`)": "unit/server/test_limits.py::test_the_soft_limit_is_raised unit/server/test_connections.py::test_no_free_descriptor_stops_nobody unit/server/test_limits.py::test_overload_is_explained",
        "time to the end of a request's head (`request_timeout`) | 15 s from the connection, for later requests from the first byte | the connection is closed | cut (`no request`, `slow request`)": "unit/server/test_connections.py::test_a_silent_client_is_closed unit/server/test_connections.py::test_a_head_that_is_dribbled_is_cut",
        "bytes of a request's head | 256 KiB; one header 64 KiB, the first line 8,190 bytes | the connection is closed; for one header or the line, 400 | cut (`large request`); `entrepot_requests_total`": "unit/server/test_connections.py::test_a_large_head_is_cut unit/api/test_connection.py::test_no_level_of_the_log_quotes_a_client",
        "TLS handshakes at once | 1,024 | the oldest is closed, if it has taken longer than 5 s | cut (`room for others`)": "unit/server/test_tls_connections.py::test_handshakes_are_few",
        "TLS handshakes of one address at once | 64 | further ones of this address wait for `request_timeout`, then their connections are closed | cut (`no request`)": "unit/server/test_tls_connections.py::test_handshakes_of_one_address_wait_for_each_other unit/server/test_tls_connections.py::test_a_handshake_that_waits_too_long_is_closed",
        "requests of one address that are not answered to their end (`requests_per_address`) | 1,000 | further ones wait for up to 5 s and are then answered 429, and at once if 1,000 others wait | `entrepot_delayed_requests_total` (`address`), `entrepot_refused_requests_total` (`address`)": "integration/test_request_limits.py::test_requests_of_a_client_behind_a_proxy_are_counted unit/api/test_open_requests.py::test_an_address_with_too_many_is_refused unit/api/test_open_requests.py::test_no_more_wait_than_are_answered unit/api/test_repeated_blobs.py::test_blobs_that_are_sent_count_as_requests unit/api/test_middleware.py::test_requests_of_an_address_are_counted_until_they_are_answered",
        "clients that get one blob while it is downloaded (`readers_per_download`) | 2,000 | 503, until the blob is stored | `entrepot_refused_requests_total` (`download`)": "integration/test_request_limits.py::test_a_download_has_so_many_readers unit/mirror/test_readers_of_downloads.py::test_a_download_has_so_many_readers",
        "wrong tokens and logins of one address | 20 at once, and one in 2 s | each answer after 2 s; what is right is answered at once": "unit/access/test_guesses.py::test_who_guesses_waits_for_the_answer",
        "requests of one address for tokens of `/token` | 200 at once, and 10 a second | each answer after 2 s": "unit/access/test_guesses.py::test_who_floods_the_tokens_waits",
        "passwords that wait for their check, of which two run at once, with a lower priority than pulls | 64 | of those that wait, the one whose address was wrong most often gets 429; who has logged in before is served | `entrepot_refused_requests_total` (`logins`)": "unit/access/test_passwords.py::test_too_many_wait unit/access/test_passwords.py::test_checks_have_a_lower_priority unit/access/test_check_queue.py::test_a_full_queue_has_room_for_who_was_wrong_less_often unit/access/test_passwords.py::test_checks",
        "repositories that are looked at for one page of `_catalog` | 50,000, in steps of 25 | the page is shorter, or empty with a `Warning`": "unit/mirror/test_repository_list.py::test_the_work_for_a_page_is_bounded unit/mirror/test_repository_list.py::test_a_page_is_shorter_rather_than_dear unit/mirror/test_repository_list.py::test_other_work_is_done_between_the_steps",
        "pulls that wait to be recorded, if the catalog refuses | 50,000 | further ones are not recorded": "unit/content/test_pull_log.py::test_a_catalog_that_refuses_fills_no_memory",
        "requests of one address for what no upstream has (`not_found_per_address`) | 10 a second, and 200 at once | further ones wait for up to 5 s and are then answered 429; what is stored is served to this address as before | `entrepot_delayed_requests_total` (`not found`)": "unit/mirror/test_limited_questions.py::test_what_does_not_exist_is_limited unit/mirror/test_question_limit.py::test_a_request_waits_for_its_token unit/api/test_errors.py::test_an_address_that_asks_too_much_is_told_when_to_try_again",
        "time for a TLS handshake (`handshake_timeout`) | 15 s | the connection is closed | cut (`slow handshake`)": "unit/server/test_tls_connections.py::test_a_handshake_has_its_time",
        "wrong passwords of one address, or of one IPv6 /64 network | 20 at once, and then one in 2 s | a password that was not checked yet is answered 429; known ones and tokens are served as before": "unit/access/test_passwords.py::test_a_known_password_is_not_limited unit/access/test_login_limit.py::test_an_address_that_is_often_wrong_has_to_wait unit/access/test_login_limit.py::test_a_network_of_ipv6_is_one_address",
        "time without a request (`idle_timeout`) | 75 s | the connection is closed | cut (`idle`)": "unit/server/test_connections.py::test_idle_connections_are_closed",
        "time in which a client accepts nothing of its answer (`send_timeout`) | 60 s | the connection is cut, and the kernel drops what it keeps for it | cut (`stalled`)": "unit/server/test_connections.py::test_who_does_not_read_is_cut",
        "bytes a second that a client accepts (`min_send_rate`) | 1 KiB/s on average over `send_timeout` | the same | cut (`too slow`)": "unit/server/test_connections.py::test_who_reads_slowly_is_not_cut unit/server/test_limits.py::test_progress_is_judged",
        "unsent bytes in the kernel for one connection | 256 KiB behind what is on its way | the worker waits for this client only": "unit/server/test_connections.py::test_the_kernel_has_limits_too integration/test_downloads_readers.py::test_a_slow_reader_delays_nobody",
        "the same, of stored blobs that are sent again without TLS: pages of their files | 1,024 KiB behind what is on its way | the worker waits for this client only": "unit/api/test_repeated_blobs.py::test_the_kernel_takes_more_of_a_file",
        "requests that are read before the answers to earlier ones | 32 | no more is read from this client": "unit/server/test_connections.py::test_answers_that_are_never_read_end_the_reading",
        "body of a request, which no pull has | read for 2 s after the answer | the connection is closed": "unit/server/test_connections.py::test_an_endless_body_is_cut_after_the_answer",
        "ranges of one request | 64 | the whole blob is sent": "unit/oci/test_byte_ranges.py::test_most_spans_are_accepted unit/oci/test_byte_ranges.py::test_malformed_range_means_the_whole",
    }
    | ACCESS_SENTENCES
    | TAG_SENTENCES
    | CONSOLE_SENTENCES
    | THREAT_SENTENCES
)


def test_every_sentence_is_shown() -> None:
    """A sentence or row that is new or changed needs a test, and its line in the table."""
    sentences = list_sentences(PAGE.read_text(encoding="utf-8"))

    missing = [each for each in sentences if each not in SHOWN]
    assert missing == [], "in the page and not in the table:\n" + "\n".join(missing)
    former = [each for each in SHOWN if each not in sentences]
    assert former == [], "in the table and not in the page:\n" + "\n".join(former)


@pytest.mark.parametrize("place", sorted({*" ".join(SHOWN.values()).split()}))
def test_the_tests_are_there(place: str) -> None:
    """Each named test is in the file that is named."""
    file, _, name = place.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_links_lead_to_headings() -> None:
    """A link inside of the page names a heading as GitHub does."""
    page = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    places = {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}

    assert {*re.findall(r"\]\(#([^)]+)\)", page)} <= places


def write_numbers() -> list[str]:
    """Return how the numbers of the code are written in the rows of their limits."""
    limits = LimitSettings()
    return [
        f"| {framing.MAX_INTERIM}, of {framing.MAX_INTERIM_HEAD // KIB} KiB each |",
        f"| head of an answer | {framing.MAX_HEAD // KIB} KiB |",
        f"| {framing.MAX_FRAMING // KIB} KiB, and a quarter of the content |",
        f"| {www_authenticate._LONGEST_HEADER // KIB} KiB, {link_header.LONGEST_HEADER // KIB} KiB |",
        f"| time without a byte of content | {client.STALL:.0f} s |",
        f"| {tokens.MAX_TOKEN_BODY // MIB} MiB, {tokens.FETCH_BUDGET:.0f} s |",
        f"| {tokens.MAX_TOKENS:,}, and {tokens.MAX_TOKEN_SIZES // MIB} MiB together |",
        f"| {tokens.SHORTEST_LIFE / 60:.0f} minute to {tokens.LONGEST_LIFE / 3600:.0f} hours |",
        f"| {pagination.MAX_PAGE // MIB} MiB, {documents.MAX_VALUES:,} values |",
        f"| {pagination.MAX_LIST // MIB} MiB, {pagination.MAX_TAGS:,} tags or {manifest.MAX_DESCRIPTORS:,} referrers, {pagination.MAX_PAGES:,} pages, {pagination.LONGEST:.0f} s |",
        f"| lists of more than {pagination.SMALL_LIST // KIB} KiB that are read at once | {pagination.LARGE_AT_ONCE} for each upstream and worker |",
        f", in a list of referrers | {documents.MAX_DEPTH} |",
        f"| {upstream_lists.MAX_OTHERS:,}, of {upstream_lists.MAX_OTHER_BODY // KIB} KiB each |",
        f"| recorded list of what is stored | {upstream_lists.MAX_BODY // MIB} MiB |",
        f"| a third of the descriptors after {descriptors.RESERVE}, at most {descriptors.MAX_CONNECTIONS:,} |",
        f" has accepted nothing for {open_connection.STALLED:.0f} s;",
        f"| half of those, at least {descriptors.LEAST_PER_ADDRESS} |",
        f"| the hard limit, at most {descriptors.MAX_DESCRIPTORS:,} |",
        f"(`request_timeout`) | {limits.request_timeout:.0f} s from the connection",
        f"| {open_connection.MAX_HEAD // KIB} KiB; one header {connection.MAX_HEADER // KIB} KiB, the first line {connection.MAX_LINE:,} bytes |",
        f"| TLS handshakes at once | {handshakes.MAX_HANDSHAKES:,} |",
        f" if it has taken longer than {open_connection.SLOW_HANDSHAKE:.0f} s |",
        f"| TLS handshakes of one address at once | {handshakes.MAX_PER_ADDRESS} |",
        f"(`requests_per_address`) | {limits.requests_per_address:,} | further ones wait for up to {open_requests.PATIENCE:.0f} s and are then answered 429, and at once if {limits.requests_per_address:,} others wait |",
        f"(`readers_per_download`) | {limits.readers_per_download:,} |",
        f"with a lower priority than pulls | {passwords.MOST_WAITING} |",
        f"| repositories that are looked at for one page of `_catalog` | {repository_list.MOST:,}, in steps of {repository_list.STEP} |",
        f"| tags in one answer, whatever `n` is | {tags_and_referrers.TAGS_PAGE:,} |",
        f"| recorded lists of tags or referrers of more than {pagination.SMALL_LIST // KIB} KiB that",
        f"| pulls that wait to be recorded, if the catalog refuses | {pull_log.MOST_NOTED:,} |",
        f"| {limits.not_found_per_address} a second, and {limits.not_found_per_address * question_limit.BURST:.0f} at once |",
        f"| further ones wait for up to {question_limit.PATIENCE:.0f} s and",
        f"| {login_limit.BURST:.0f} at once, and then one in {1 / login_limit.RATE:.0f} s |",
        f"(`handshake_timeout`) | {limits.handshake_timeout:.0f} s |",
        f"(`idle_timeout`) | {limits.idle_timeout:.0f} s |",
        f"(`send_timeout`) | {limits.send_timeout:.0f} s |",
        f"(`min_send_rate`) | {limits.min_send_rate // KIB} KiB/s on average",
        f"| {listener.UNSENT // KIB} KiB behind what is on its way |",
        f"| {socket_writing.UNSENT // KIB:,} KiB behind what is on its way |",
        f"before the answers to earlier ones | {MAX_MSG_QUEUE_SIZE} |",
        f"| read for {connection.LINGER:.0f} s after the answer |",
        f"| ranges of one request | {byte_ranges.MAX_SPANS} |",
    ]


def test_numbers_are_those_of_the_code() -> None:
    """The other tests of a limit have a small number instead, so that they are fast."""
    page = PAGE.read_text(encoding="utf-8")
    assert [each for each in write_numbers() if each not in page] == []


def test_few_headers_of_clients_are_read() -> None:
    """A header that is not read cannot be passed on; the console asks no upstream with any."""
    others = ("upstream", "console")
    text = "".join(each.text for each in read_sources("registry") if each.room not in others)
    names = re.findall(r"request\.headers\.get(?:all)?\(\"([\w-]+)\"", text)

    assert len(names) == text.count("request.headers"), "headers are read in another way"
    assert "raw_headers" not in text
    assert {*names} == {
        "Accept",
        "Authorization",
        "Forwarded",
        "Host",
        "If-None-Match",
        "If-Range",
        "Range",
        "User-Agent",
        "Via",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
    }


def test_nothing_is_decompressed() -> None:
    """Only the body of a small answer is: layers are passed on as they come."""
    wrong = [
        str(source.path.relative_to(ROOT))
        for source in read_sources("registry")
        if re.search(
            r"\bdecompress|tarfile\.(open|TarFile)", source.path.read_text(encoding="utf-8")
        )
    ]
    assert wrong == ["registry/upstream/request.py"]
