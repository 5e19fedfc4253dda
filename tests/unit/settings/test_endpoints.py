"""Laws of the URLs of upstream registries."""

import pytest

from registry.settings.endpoints import parse_endpoint, split_endpoint
from registry.settings.values import Refusal


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://registry-1.docker.io", "https://registry-1.docker.io"),
        ("HTTPS://Registry.Example/", "https://registry.example"),
        ("http://registry.lan:5000/a/B/", "http://registry.lan:5000/a/B"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://Harbor.lan/v2/hub-proxy/", "https://harbor.lan/v2/hub-proxy"),
        ("https://h/api/docker/v2/team/hub", "https://h/api/docker/v2/team/hub"),
    ],
)
def test_endpoint_is_normalised(text: str, endpoint: str) -> None:
    """An endpoint ends without a slash, and only its path keeps upper case."""
    assert endpoint == parse_endpoint(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("registry.example", "not a URL"),
        ("ftp://registry.example", "not a URL of http or https"),
        ("https://", "not a URL"),
        ("https://h:", "not a URL"),
        ("https://h:x", "not a URL"),
        ("https://h:65536", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://a b", "not a URL"),
        ("https://h\n", "not a URL"),
        ("https://h\\@x", "not a URL"),
        ("https://h?a=b", "query"),
        ("https://h#a", "fragment"),
        ("https://h/v2/", "leave out the /v2"),
        ("https://u:hunter2@h", "username and password_file"),
        ("htps://u:hunter2@h", "not a URL"),
    ],
)
def test_other_endpoints_are_refused(text: str, words: str) -> None:
    """A text that is not a base URL is refused, and a password in it is not printed."""
    with pytest.raises(Refusal, match=words) as refusal:
        parse_endpoint(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("mirror.example.net", "https://mirror.example.net"),
        ("mirror.example.net/hub", "https://mirror.example.net/hub"),
        ("mirror:5000", "https://mirror:5000"),
        ("//mirror.example.net", "https://mirror.example.net"),
        ("htps://mirror.example.net", "https://mirror.example.net"),
        ("ftp:/mirror.example.net", "https://mirror.example.net"),
        # What may be no host at all is not repeated.
        ("mirror", "https://registry.example.net"),
        ("mirror.example.net:70000", "https://registry.example.net"),
        ("https://mirror.example.net:", "https://registry.example.net"),
        ("u:hunter2@mirror.example.net", "https://registry.example.net"),
    ],
)
def test_the_cure_has_the_host_that_was_written(text: str, cure: str) -> None:
    """It can be pasted, if only the scheme is missing or wrong."""
    with pytest.raises(Refusal) as refusal:
        parse_endpoint(text)
    assert f'"{cure}"' in refusal.value.cure


@pytest.mark.parametrize(
    ("url", "base", "prefix"),
    [
        ("https://h", "https://h", ""),
        ("https://h:5000/", "https://h:5000", ""),
        ("https://h/repository/hub", "https://h/repository/hub", ""),
        ("https://h/v2/hub-proxy", "https://h", "hub-proxy/"),
        (
            "https://h/v2/acme/dependency_proxy/containers",
            "https://h",
            "acme/dependency_proxy/containers/",
        ),
        ("https://h/api/docker/v2/hub", "https://h/api/docker", "hub/"),
    ],
)
def test_endpoint_has_a_base_and_a_prefix(url: str, base: str, prefix: str) -> None:
    """What comes after `/v2/` comes before the names of all repositories."""
    assert split_endpoint(url) == (base, prefix)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("https://h/v2/x/v2", 'write "https://h/v2/x"'),
        ("https://h/api/v2/rev2/v2/", 'write "https://h/api/v2/rev2"'),
        ("https://h/v2/v2", "leave out the /v2"),
        ("https://h/v1", "without /v1"),
        ("https://h/v1/repositories", "without /v1"),
        ("https://h/v2/Hub-Proxy", "what the names of all repositories begin with"),
        ("https://h/v2//x", "what the names of all repositories begin with"),
        ("https://h/v2/_catalog", "what the names of all repositories begin with"),
        ("https://h/v2/library/nginx/manifests/latest", 'write "https://h"'),
        ("https://h/v2/library/nginx/tags/list", 'write "https://h"'),
        (
            "https://gitlab.lan/acme/dependency_proxy/containers",
            'write "https://gitlab.lan/v2/acme/dependency_proxy/containers"',
        ),
        (
            "https://europe-west1-docker.pkg.dev/acme/hub",
            'write "https://europe-west1-docker.pkg.dev/v2/acme/hub"',
        ),
        (
            "https://1.dkr.ecr.eu-west-1.amazonaws.com/docker-hub",
            'write "https://1.dkr.ecr.eu-west-1.amazonaws.com/v2/docker-hub"',
        ),
        ("https://acme.azurecr.io/hub", 'write "https://acme.azurecr.io/v2/hub"'),
        ("https://hub.docker.com", 'write "https://registry-1.docker.io"'),
        ("https://docker.io/library", 'write "https://registry-1.docker.io"'),
    ],
)
def test_url_that_cannot_work_is_refused(text: str, cure: str) -> None:
    """A URL that no registry can have is refused, with the right spelling."""
    with pytest.raises(Refusal) as refusal:
        parse_endpoint(text)
    assert cure in refusal.value.cure
