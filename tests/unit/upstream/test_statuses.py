"""Laws of statuses: what each of them means, by what was asked for."""

from typing import Any

import pytest

from registry.upstream.statuses import Meaning, Resource, read_status

REFUSED = (400, 405, 406, 410, 415, 422, 501)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (404, Meaning.MISSING),
        (401, Meaning.DENIED),
        (403, Meaning.DENIED),
        (429, Meaning.THROTTLED),
        (500, Meaning.FAILED),
        (408, Meaning.FAILED),
        (507, Meaning.FAILED),
        (502, Meaning.UNREACHABLE),
        (503, Meaning.UNREACHABLE),
        (504, Meaning.UNREACHABLE),
        (304, Meaning.REFUSED),
        (400, Meaning.REFUSED),
        (416, Meaning.REFUSED),
    ],
)
@pytest.mark.parametrize("resource", [Resource.MANIFEST, Resource.BLOB, Resource.TAGS])
def test_get(resource: Resource, status: int, meaning: Meaning) -> None:
    """A GET of a manifest, a blob or tags."""
    assert read_status(status, resource) is meaning


@pytest.mark.parametrize("resource", [Resource.MANIFEST, Resource.BLOB])
@pytest.mark.parametrize("status", [*REFUSED, 403, 404, 500])
def test_head_is_doubted_until_one_was_answered(resource: Resource, status: int) -> None:
    """Nexus answers 404 to the HEAD of a manifest that it has, ECR Public 403 for blobs."""
    assert read_status(status, resource, is_head=True) is Meaning.NO_HEAD


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (404, Meaning.MISSING),
        (403, Meaning.DENIED),
        (500, Meaning.FAILED),
        (405, Meaning.NO_HEAD),
        (501, Meaning.NO_HEAD),
        (400, Meaning.NO_HEAD),
    ],
)
def test_head_is_trusted_after_one_was_answered(status: int, meaning: Meaning) -> None:
    """Where a HEAD has succeeded, a 404 to another HEAD costs no GET."""
    found = read_status(status, Resource.MANIFEST, is_head=True, is_head_trusted=True)
    assert found is meaning


@pytest.mark.parametrize("status", [401, 408, 429, 502, 503, 504])
def test_other_statuses_mean_the_same_to_a_head(status: int) -> None:
    """They do not judge the method."""
    assert read_status(status, Resource.MANIFEST, is_head=True) is not Meaning.NO_HEAD


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_signed_url_may_be_for_a_get_only(status: int) -> None:
    """S3 answers 403 to the HEAD of a URL that is signed for a GET."""
    found = read_status(status, Resource.BLOB, is_head=True, is_redirected=True)
    assert found is Meaning.NO_HEAD


@pytest.mark.parametrize("is_redirected", [False, True])
@pytest.mark.parametrize("status", [400, 403, 405, 406, 416, 501])
def test_range_is_refused(status: int, is_redirected: bool) -> None:
    """The same blob is asked for without a range."""
    found = read_status(status, Resource.BLOB, has_range=True, is_redirected=is_redirected)
    assert found is Meaning.NO_RANGE


@pytest.mark.parametrize("status", [401, 404, 429, 500, 502, 503])
def test_range_is_not_the_reason(status: int) -> None:
    """These have another reason, and the whole blob is not asked for."""
    found = read_status(status, Resource.BLOB, has_range=True)
    assert found is read_status(status, Resource.BLOB)


@pytest.mark.parametrize("status", [*REFUSED, 404])
def test_no_referrers_api(status: int) -> None:
    """Registries without the referrers API refuse its path in all these ways."""
    assert read_status(status, Resource.REFERRERS) is Meaning.MISSING


@pytest.mark.parametrize("status", [401, 403, 404, 400])
def test_login_page_is_no_referrers_api(status: int) -> None:
    """A redirect to a place that refuses us is not an answer about referrers."""
    assert read_status(status, Resource.REFERRERS, is_redirected=True) is Meaning.MISSING


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, Meaning.DENIED),
        (403, Meaning.DENIED),
        (429, Meaning.THROTTLED),
        (500, Meaning.FAILED),
        (503, Meaning.UNREACHABLE),
    ],
)
def test_referrers_may_exist(status: int, meaning: Meaning) -> None:
    """These do not say that there is no referrers API."""
    assert read_status(status, Resource.REFERRERS) is meaning


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (404, {"resource": Resource.BLOB}),
        (403, {"resource": Resource.BLOB}),
        (500, {"resource": Resource.MANIFEST}),
        (403, {"resource": Resource.MANIFEST}),
    ],
)
def test_host_after_a_redirect_does_not_decide(status: int, options: dict[str, Any]) -> None:
    """The registry may have what the content host refuses, for example after a URL has expired."""
    assert read_status(status, is_redirected=True, **options) is Meaning.REDIRECT_BROKEN


@pytest.mark.parametrize("is_redirected", [False, True])
def test_a_403_is_not_about_the_range_where_ranges_are_answered(*, is_redirected: bool) -> None:
    """The URL has expired, or access was taken away: without the range it would be the same."""
    found = read_status(
        403, Resource.BLOB, has_range=True, is_range_trusted=True, is_redirected=is_redirected
    )
    assert found is (Meaning.REDIRECT_BROKEN if is_redirected else Meaning.DENIED)


@pytest.mark.parametrize("resource", Resource)
@pytest.mark.parametrize("is_redirected", [False, True])
def test_request_in_a_circle_is_told_apart(resource: Resource, *, is_redirected: bool) -> None:
    """Another try, a GET for a HEAD, or another form of the request would go round again."""
    found = read_status(508, resource, is_head=True, has_range=True, is_redirected=is_redirected)
    assert found is Meaning.LOOP
