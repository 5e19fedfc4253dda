# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""The sentences of docs/security.md about who attacks, access modes, and the checklist."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.architecture.tag_sentences import ADVICE

THREAT_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "Further down are the [threat model](#threat-model), what [each access mode](#what-each-access-mode-protects) protects, a [checklist](#checklist-for-a-deployment), and how to [report a hole](#report-a-hole).": "architecture/test_security_page.py::test_links_lead_to_headings",
        "Who attacks from where, and what the mirror does against it:": ADVICE,
        'anybody who reaches `server.listen` | with `"users"`, all that no rule gives to `anonymous`; in both modes the service for others ([Limits](#limits)), the files of the machine, and all servers that are no configured upstream | with `"open"`, every image that the mirror can pull': "integration/test_access.py::test_every_endpoint_asks_the_rules faults/attacks/test_attacks.py::test_an_attack_ends integration/test_path_tricks.py::test_tricks_are_refused_and_touch_nothing integration/test_routing.py::test_the_mirror_is_no_open_proxy",
        "a user, or whoever has a token | what no rule gives to this name, and whether it exists | what was pulled before the account was removed": "integration/test_access.py::test_every_endpoint_asks_the_rules integration/test_access_timing.py::test_what_is_not_allowed_takes_as_long_as_what_is_not_there integration/test_access_changes.py::test_a_removed_token_pulls_nothing_more",
        "somebody who reads the network before the mirror | with TLS, what is sent | without TLS, passwords, tokens and images": "integration/test_serve_tls.py::test_images_come_over_tls",
        "somebody who changes the network before the mirror | with TLS, everything; without TLS, the bytes behind a digest | without TLS, what a tag means, and who is asked for a password": "integration/test_serve_tls.py::test_images_come_over_tls clients/test_certificates.py::test_without_the_authority_nothing_is_asked",
        "a proxy in `server.trusted_proxies` | nothing that passes through it | it is believed whose request it is": "integration/test_trusted_proxies.py::test_rules_use_the_address_of_the_client",
        "an upstream, or one of its endpoints | images of other upstreams, bytes behind a digest, the machine, and servers inside of your network | what its own tags mean, if it is trusted with names": "unit/mirror/test_deliveries.py::test_a_digest_alone_opens_nothing faults/test_wrong_bytes.py::test_no_reader_gets_a_complete_wrong_blob faults/test_hostile_upstream.py::test_every_face_gets_an_answer unit/upstream/test_addresses.py::test_name_leads_nowhere_inside",
        "somebody between the mirror and an upstream | with `https`, everything; with `http`, the bytes behind a digest | with `http`, what a tag means": "faults/test_wrong_bytes.py::test_no_reader_gets_a_complete_wrong_blob unit/upstream/test_redirects.py::test_https_never_becomes_http",
        "the author of a bundle | the machine that imports it, and with `[bundles] keys` what its tags mean | without keys, what the tags in it mean": "property/test_bundle_readers.py::test_links_in_a_folder_are_not_followed integration/test_bundle_import.py::test_pinned_keys_decide",
        "another user of the machine | the data folder, password files and keys, by their modes | the console, which everybody on the machine can read": "unit/settings/test_exposure.py::test_what_others_can_read_is_named unit/access/test_certificates.py::test_keys_are_secret",
        "whoever has a copy of the data folder, such as a backup | passwords of users, and tokens | images, records of pulls, and the key that signs the tokens of `/token`": "unit/access/test_accounts.py::test_the_secret_of_a_token_is_not_stored",
        "whoever can write the data folder or the settings, or runs as the user of the mirror | nothing | everything": ADVICE,
        "An image that is harmful itself is served like any other one.": ADVICE,
        "who may pull | everybody who reaches the mirror | whom a rule allows": "integration/test_access.py::test_every_endpoint_asks_the_rules integration/test_pull_base.py::test_no_answer_ever_challenges",
        "registries with a username | open for everybody | closed until a rule spells out their name": "unit/access/test_rules.py::test_a_rule_for_everything_does_not_open_a_private_registry",
        "whether something is stored | everybody can find out | whoever may not pull it cannot": "integration/test_access_timing.py::test_what_is_not_allowed_takes_as_long_as_what_is_not_there",
        "who has pulled what | addresses, and answers with `access.records` | names, rules and addresses": "integration/test_access_records.py::test_what_was_served_is_recorded integration/test_record_settings.py::test_by_default_nobody_is_recorded_in_an_open_mirror",
        "where clients are asked to log in | nowhere | at `access.login_hosts`": "integration/test_pull_base.py::test_no_answer_ever_challenges integration/test_access.py::test_a_login_host_asks_for_a_login",
        "What neither mode does:": ADVICE,
        "A rule, a pattern in `deny` and a delay count for what comes through the mirror.": "integration/test_mirror_rules.py::test_every_spelling_is_refused",
        "They are no enforcement while the way out is open: docker, containerd and podman ask the registry itself when the mirror refuses.": ADVICE,
        "Close it in the firewall, or by what [clients.md](clients.md) says for each client.": ADVICE,
        "A certificate says whose connection it is, and not whose request.": "integration/test_client_certificates.py::test_a_proxy_with_a_certificate_is_its_user",
        "If a proxy has a client certificate, all its clients are its user: let the proxy have none, and the clients send tokens.": "integration/test_client_certificates.py::test_a_proxy_with_a_certificate_is_its_user",
        "A tag in a rule limits which tags may be asked for.": "unit/access/test_rules.py::test_tags_in_a_pattern",
        "Who may pull one tag of a repository may pull by digest all that the repository has.": "unit/access/test_rules.py::test_tags_in_a_pattern",
        "A token is whoever has it.": "integration/test_access.py::test_every_endpoint_asks_the_rules",
        "In a path, it is also in the log of each proxy in front of the mirror.": ADVICE,
        "A token that was written where a name belongs is refused, and not logged, stored or asked upstream.": "integration/test_misplaced_tokens.py::test_a_token_is_no_name integration/test_misplaced_tokens.py::test_a_token_leaves_no_trace",
        "It stays in the history of the shell where it was typed: replace it.": ADVICE,
        "Nothing is taken back from a client that has pulled it.": ADVICE,
        "Copy the lines, and tick each one when its command shows what it says.": ADVICE,
        "`mirror.lan` is your mirror, `registry.corp.lan/app` a private image, and `ca.crt` the certificate of your authority.": ADVICE,
        "Run the commands on the machine of the mirror, as its user, unless a line says otherwise.": ADVICE,
        "The settings can be used, and no note is news to you: `entrepot config check`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Rules decide who may pull: `entrepot config show | grep '^mode'` prints `mode = \"users\"`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Nobody gets a private image without a login: `curl -s -o /dev/null -w '%{http_code}' --cacert ca.crt https://mirror.lan:5000/v2/registry.corp.lan/app/manifests/1` prints `404`, or `401` if `mirror.lan` is in `access.login_hosts`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says integration/test_access.py::test_a_login_host_asks_for_a_login",
        "Passwords and tokens cross the network by TLS only: `curl -s http://mirror.lan:5000/v2/` prints `this mirror speaks TLS`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "An alert watches the end of the certificate: `curl -s http://127.0.0.1:5001/metrics` prints `entrepot_certificate_expiry_timestamp_seconds`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "You know each user: `entrepot users ls`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "You know each token, and each of them ends: `entrepot tokens ls`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Other users of the machine can read nothing of it: `entrepot config check | grep 'other users'` prints nothing": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "The mirror has its own user, and not root: `ps -C entrepot -o user=`": ADVICE,
        "The console is for this machine only. From another one: `curl -m 3 http://mirror.lan:5001/livez` prints nothing": ADVICE,
        "Clients have no other way to a registry. From a client: `curl -m 3 https://registry-1.docker.io/v2/` prints nothing": ADVICE,
        "Names come from endpoints that you trust: `entrepot upstreams ls`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Bundles have to be signed by you: `entrepot config show | grep '^keys'` prints their files": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "The addresses in the records are those of clients, also behind a proxy: `entrepot pulls ls`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Somebody looks at what was refused: `entrepot pulls ls --refused`": "integration/test_checklist.py::test_the_commands_show_what_the_page_says",
        "Report it in private, as [SECURITY.md](../SECURITY.md) describes, and not in a public issue.": ADVICE,
        "Say which version it is, how the mirror is configured (`entrepot config show` prints no password), what somebody can do, and how to see it.": "unit/settings/test_model.py::test_nothing_shows_a_secret",
    }
)
