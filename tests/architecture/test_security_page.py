# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""docs/security.md says only what a test shows: each sentence is in this table with its test."""

import re
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from tests.architecture.source import ROOT, read_sources

PAGE = ROOT / "docs" / "security.md"
ADVICE = ""  # what the reader should do or expect, and not what the mirror does

# The sentences of the page, and the test that fails if one of them is not true any more.
SHOWN: Mapping[str, str] = MappingProxyType(
    {
        "Read this page before other people depend on your mirror.": ADVICE,
        # Trust
        "A blob or manifest that is pulled by digest is verified by the mirror, and again by the client.": "faults/test_wrong_bytes.py::test_no_reader_gets_a_complete_wrong_blob",
        "For a pull by tag, you trust the upstream that says what the tag means, and this mirror.": ADVICE,
        "If that is not enough, pull by digest or verify signatures.": ADVICE,
        "If an upstream has several endpoints, the first endpoint that answers decides what a tag means.": "integration/test_failover.py::test_the_first_endpoint_is_asked_first",
        "So an accelerator that you put first can give you another *image* for a tag, but it can never give you wrong bytes for a digest.": "integration/test_faulty_manifests.py::test_a_manifest_under_a_wrong_digest_is_refused",
        # No open proxy
        "The mirror connects only to configured upstreams, whatever name a client sends.": "integration/test_routing.py::test_the_mirror_is_no_open_proxy",
        "A name that looks like a registry that is not configured is answered as unknown; the mirror does not ask the default upstream for it.": "integration/test_routing.py::test_the_mirror_is_no_open_proxy",
        "If containerd names a registry in `ns`, only this registry is asked: a name such as `harbor.lan/docker.io/acme/app` is never answered with Docker Hub's `acme/app`.": "unit/mirror/test_routing.py::test_ns_is_the_registry_although_the_name_begins_with_another",
        "The mirror follows at most five redirects.": "unit/upstream/test_endpoint.py::test_redirects_end_after_five",
        "It does not follow a redirect from https to http, or from a public host to a private address, unless the settings of this upstream allow it (`allow_http_redirects`, `allow_private_redirects`); link-local addresses stay refused.": "unit/upstream/test_redirects.py::test_public_host_never_leads_inside",
        "It does not send its `Authorization` header to the target of a redirect, and it sends the target's query unchanged.": "integration/test_upstream_redirects.py::test_blobs_are_fetched_where_they_are_redirected_to",
        "Of a link to the next page of a list, it uses only the query.": "unit/upstream/test_pagination.py::test_only_the_query_of_a_link_is_used",
        # Credentials
        "The mirror sends an upstream's password only to the registry's own hosts (its name and its aliases) and to the token servers in `auth_realms`.": "integration/test_upstream_credentials.py::test_a_foreign_realm_is_not_told_the_password",
        "It asks any other endpoint anonymously, such as an accelerator.": "integration/test_upstream_credentials.py::test_an_accelerator_never_gets_anything_of_ours",
        "Passwords are read from files.": "unit/settings/test_loading.py::test_password_comes_from_its_file",
        "They appear in no log, in no error, and not in `config show`.": "unit/settings/test_model.py::test_nothing_shows_a_secret",
        # Other users of the machine
        "A new data folder can be read only by the user that runs the mirror.": "unit/store/test_data_folder.py::test_a_new_folder_is_private",
        "If others can read an existing one, a password file or the key of `tls_key`, `serve` and `config check` say so.": "unit/settings/test_exposure.py::test_what_others_can_read_is_named",
        "Links in the place of files that are about to be written are not followed.": "unit/store/test_links.py::test_links_are_not_followed",
        # Records of pulls
        "The catalog records which address pulled which image, for at most 400 days, and the newest 250,000 of these records.": "unit/catalog/test_last_used.py::test_records_of_ever_new_clients_are_bounded",
        "`entrepot images warm --pulled-since` uses these records.": "integration/test_warm_command.py::test_what_was_pulled_is_a_source",
        "The log has the same facts.": "integration/test_pull_base.py::test_the_address_of_a_client_is_that_of_its_connection",
        "If clients come through a proxy, the recorded address is the proxy's.": "integration/test_pull_base.py::test_the_address_of_a_client_is_that_of_its_connection",
        # Private images
        "If you configure credentials, every client that reaches the mirror can pull every image that these credentials can see.": "integration/test_upstream_credentials.py::test_a_private_repository_is_pulled_with_credentials",
        'This version has no access control per user: `access.mode = "users"` is refused, not ignored.': "unit/settings/test_errors.py::test_bad_value_names_its_key_and_cure",
        "Restrict who can reach `server.listen`.": ADVICE,
        "The mirror does not serve a blob of one repository under the name of another repository.": "integration/test_pull_blobs.py::test_bytes_are_shared_and_permission_is_not",
        # Clients' secrets
        "If a mirror asked dockerd to log in, dockerd would send its user's password for Docker Hub.": ADVICE,
        "This mirror never asks.": "integration/test_pull_base.py::test_no_answer_ever_challenges",
        "It never passes on what clients send (`Authorization`, cookies), and no log and no answer quotes any part of it, also if the request is malformed.": "integration/test_secrets.py::test_bytes_that_are_no_request_are_not_quoted",
        "Headers of up to 64 KiB are ignored; a larger one is refused with 400.": "integration/test_secrets.py::test_passwords_are_ignored",
        # Hostile upstreams
        "The mirror refuses manifests of more than 4 MiB, ambiguous manifests (CVE-2021-41190), docker and artifact manifests that do not name their own media type, JSON with duplicate keys, more than 10,000 descriptors or 300,000 values, bodies without end, and bodies longer than their descriptor says.": "integration/test_faulty_manifests.py::test_faulty_manifests_are_refused",
        "It never decompresses a layer.": "architecture/test_security_page.py::test_nothing_is_decompressed",
        "It uses a digest as a file name only after the digest matched a fixed pattern.": "unit/oci/test_digest.py::test_anything_else_is_refused",
        # Hostile bundles
        "Sizes and digests come from `bundle.json`, which is signed.": "unit/bundle/test_create.py::test_openssl_accepts_the_signature",
        "The mirror reads only regular files whose names match a fixed pattern, follows no link, and writes only digests that the lock names.": "property/test_bundle_readers.py::test_links_in_a_folder_are_not_followed",
        "It refuses documents that are too deep, too long or ambiguous, manifests that contradict the lock, and indexes more than 8 deep.": "property/test_bundle_readers.py::test_manifests_have_to_agree_with_the_lock",
        "`[bundles] keys` says whose bundles may be imported; then a bundle without a signature is refused too.": "integration/test_bundle_import.py::test_pinned_keys_decide",
        "The signature is checked over the same bytes that are used.": "integration/test_bundle_import.py::test_pinned_keys_decide",
        # Open ports
        "The console has no login: keep `server.console` on the loopback address, or behind a server that has a login.": ADVICE,
        "It answers only if it is asked for by an address, by a name without a dot, or by a name in `server.console_hosts`, so that no web page can read it through a browser.": "integration/test_console.py::test_the_console_answers_to_its_own_names",
        "For TLS, set `tls_cert` and `tls_key`.": "integration/test_serve_tls.py::test_images_come_over_tls",
        "If clients come from a network that you do not trust, put a reverse proxy in front against clients that send headers slowly, and turn off its compression and buffering.": ADVICE,
    }
)


def list_sentences(page: str) -> list[str]:
    """Return the sentences of all paragraphs, without line breaks and names of paragraphs."""
    paragraphs = [" ".join(each.split()) for each in page.split("\n\n") if each[0] != "#"]
    plain = [re.sub(r"^\*\*[^*]+\.\*\* ", "", each) for each in paragraphs]
    return [sentence for each in plain for sentence in re.split(r"(?<=\.) (?=[A-Z`])", each)]


def test_every_sentence_is_shown() -> None:
    """A sentence that is new or changed needs a test, and its line in the table."""
    sentences = list_sentences(PAGE.read_text(encoding="utf-8"))

    missing = [each for each in sentences if each not in SHOWN]
    assert missing == [], "in the page and not in the table:\n" + "\n".join(missing)
    former = [each for each in SHOWN if each not in sentences]
    assert former == [], "in the table and not in the page:\n" + "\n".join(former)


@pytest.mark.parametrize("place", sorted({*SHOWN.values()} - {ADVICE}))
def test_the_tests_are_there(place: str) -> None:
    """Each named test is in the file that is named."""
    file, _, name = place.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


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
