# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""The sentences of docs/security.md about what tags mean and which images are mirrored."""

from collections.abc import Mapping
from types import MappingProxyType

ADVICE = ""  # what the reader should do or expect, and not what the mirror does

TAG_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        # Who says what a tag means
        "Whoever answers for a tag decides which image you get, and nothing in the answer can be verified.": ADVICE,
        "So `names` in the table of an upstream says which of its endpoints are asked about tags.": "unit/upstream/test_tag_policy.py::test_who_is_asked",
        "Manifests and blobs are asked for by digest and verified, so every endpoint may send them: a new tag costs the registry one HEAD, which does not count as a pull, if an accelerator has the manifest.": "integration/test_failover.py::test_the_pull_limit_of_the_registry_is_spared integration/test_tag_names.py::test_the_accelerator_is_not_asked_about_names",
        '`"trusted"` (the default) | the first endpoint that answers, of those in `trusted`; if that is empty, of those at the registry\'s own hosts | a new tag cannot be pulled while none of them answers; a known tag is served with a `Warning`': "integration/test_tag_names.py::test_after_a_restart_and_without_the_registry unit/settings/test_trusted_endpoints.py::test_whom_the_settings_trust",
        '`"agree"` | two endpoints at different hosts that say the same digest; otherwise one in `trusted`, or at the registry\'s own hosts | two endpoints that belong together, or copy from the same place, can give you another image; a new tag cannot be pulled while only one answers that is not trusted': "unit/upstream/test_agreement.py::test_what_counts unit/upstream/test_agreement.py::test_nothing_counts unit/upstream/test_tag_policy.py::test_two_hosts_agree",
        '`"first"` | the first endpoint that answers | every endpoint can give you another image, or an old one with known flaws': "integration/test_tag_names.py::test_endpoints_disagree",
        'If none of the endpoints is trusted, you have chosen them to stand for the registry: then `"trusted"` is the same as `"first"`, and `serve` and `config check` say so if there are several.': "unit/upstream/test_tag_policy.py::test_who_is_asked integration/test_failover.py::test_the_first_endpoint_is_asked_first integration/test_advice.py::test_the_start_says_that_no_endpoint_is_trusted",
        "Lists of tags and of referrers cannot be verified either.": ADVICE,
        'With `"trusted"`, they come from the same endpoints as tags; otherwise, from the first that answers, which can leave out a tag or a signature.': "integration/test_tag_names.py::test_the_accelerator_is_not_asked_about_names integration/test_tag_names.py::test_lists_come_from_the_first_that_answers",
        'Write the endpoint of somebody whom you trust as much as the registry into `trusted`, or accelerators of several operators and `"agree"`.': ADVICE,
        "Only you can know whether two hosts belong to different people.": ADVICE,
        'With `"first"`, pull by digest or verify signatures.': ADVICE,
        "If endpoints that were asked disagree, clients get a `Warning` with the digests, the log names endpoints and digests, and `entrepot_tag_warnings_total` counts.": "integration/test_tag_names.py::test_endpoints_disagree integration/test_tag_names.py::test_a_dispute_is_logged_and_counted",
        "The same happens if an endpoint that is not trusted changes a tag to an image that clients have pulled by this tag before.": "integration/test_tag_names.py::test_an_older_image_of_an_accelerator_is_told unit/mirror/test_tag_warnings.py::test_a_trusted_endpoint_may_go_back",
        "If two agree, nobody waits for a third one, so its answer may be unknown.": "unit/upstream/test_agreement.py::test_what_counts",
        "If nobody decides, a known tag is served with a `Warning`, and for a new one the error names the digests and what to write.": "integration/test_tag_names.py::test_a_known_tag_outlives_a_dispute unit/upstream/test_tag_policy.py::test_dispute_names_both_answers_and_the_cure",
        # Which images, and how soon
        "The patterns `deny` and `allow` in the table of an upstream say what may be pulled through the mirror.": "unit/mirror/test_mirror_rules.py::test_what_is_mirrored",
        "First `deny` is read: what matches is refused.": "unit/mirror/test_mirror_rules.py::test_what_is_refused",
        "If `allow` has patterns, one of them has to match.": "unit/mirror/test_mirror_rules.py::test_what_is_refused",
        "They hold for everybody, and also for what is stored already.": "integration/test_mirror_rules.py::test_every_spelling_is_refused integration/test_mirror_rules.py::test_identity_comes_first",
        "A refused pull is answered 403 with the pattern and the setting.": "integration/test_mirror_rules.py::test_every_spelling_is_refused",
        "It is no enforcement while clients can reach the registry itself: docker and containerd then go there.": ADVICE,
        'With `min_age = "7d"`, a tag that moved keeps its former image until the new one is known here for seven days.': "unit/mirror/test_delayed_tags.py::test_the_former_image_is_served_for_a_week",
        "This protects you from an image that is noticed to be bad, and replaced, within this time: it is never served.": "unit/mirror/test_delayed_tags.py::test_what_was_replaced_is_never_served unit/mirror/test_delayed_tags.py::test_what_was_withdrawn_waits_anew",
        "The time counts from when this mirror has first heard of the image, and not from what the image says.": "unit/mirror/test_delayed_tags.py::test_the_former_image_is_served_for_a_week",
        "Clients get a `Warning` with each former image.": "integration/test_tag_delay.py::test_a_moved_tag_waits_until_it_is_released",
        "By digest, everything can be pulled at once.": "unit/mirror/test_delayed_tags.py::test_by_digest_everything_is_pulled",
        'A tag that is pulled for the first time is served, unless `new_tags = "refuse"`.': "unit/content/test_tag_delay.py::test_what_a_tag_serves integration/test_tag_delay.py::test_a_new_tag_is_refused",
        "A repair waits as well: `entrepot images release IMAGE DIGEST` serves it at once.": "unit/mirror/test_delayed_tags.py::test_a_released_image_is_served_at_once",
        "A tag that moves more often than `min_age` stays where it is; write it into `min_age_except`. [storage.md](storage.md#tags-that-moved) describes history and rollback, and [record 0041](decisions/0041-what-may-be-mirrored-and-how-soon.md) the reasons.": "unit/mirror/test_delayed_tags.py::test_what_was_replaced_is_never_served unit/mirror/test_delayed_tags.py::test_exceptions_are_not_delayed",
        # What it is made of
        "Each dependency is locked with its version and the SHA-256 of its files, and `make`, the `Dockerfile` and the wheel archive install nothing that has another one.": "packaging/test_airgap_install.py::test_wheels_have_the_hashes_of_the_lock packaging/test_airgap_install.py::test_an_installation_that_fails_says_why",
        "The wheel has an SBOM (CycloneDX) in `entrepot-VERSION.dist-info/sboms/`, and the image has the same in `/opt/entrepot/entrepot.cdx.json`.": "packaging/test_sbom.py::test_the_sbom_names_what_the_wheel_brings packaging/test_compose.py::test_the_image_names_what_is_installed",
        "It names each Python package that is needed to run, with version, hashes, licence and dependencies.": "unit/test_sbom.py::test_each_package_has_version_hashes_and_licence unit/test_sbom.py::test_it_is_what_the_lock_says",
        "The base image with Python itself is not in it: you choose that.": ADVICE,
        "`make check` runs bandit and ruff's security rules over the sources.": ADVICE,
        "`make audit` asks the database of the package index for known vulnerabilities of all that is locked, and fails if it does not answer.": "unit/test_audit.py::test_what_is_not_known_is_not_sound",
        "CI asks too, but goes on if no database answers where it runs: then nothing was audited.": ADVICE,
        "So run `make audit` where the public index can be reached, before you install.": ADVICE,
    }
)
