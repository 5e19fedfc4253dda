"""Laws of reading `WWW-Authenticate` (RFC 9110 section 11.6.1)."""

import time

import pytest

from registry.upstream.www_authenticate import Challenge, parse_challenges, read_scope

HUB = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
    'scope="repository:library/nginx:pull,push"'
)


def read(*headers: str) -> list[tuple[str, dict[str, str]]]:
    return [(each.scheme, dict(each.parameters)) for each in parse_challenges(headers)]


def test_docker_hub_is_read() -> None:
    """Commas inside a quoted scope separate nothing."""
    parameters = {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:library/nginx:pull,push",
    }
    assert [Challenge("bearer", parameters)] == parse_challenges([HUB])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic", [("basic", {})]),
        ("bAsIc ReAlM=x", [("basic", {"realm": "x"})]),
        ('Basic realm = "a b"', [("basic", {"realm": "a b"})]),
        ('Bearer realm="a", service=b', [("bearer", {"realm": "a", "service": "b"})]),
        ('Bearer realm="a" service="b"', [("bearer", {"realm": "a", "service": "b"})]),
        (r'Bearer realm="a\"b\\c"', [("bearer", {"realm": 'a"b\\c'})]),
        ('Bearer realm=""', [("bearer", {"realm": ""})]),
        (',, Bearer , realm="a",,', [("bearer", {"realm": "a"})]),
        ('Bearer\trealm="a"', [("bearer", {"realm": "a"})]),
    ],
)
def test_spellings(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """Case, quotes, escapes and spaces may be as the grammar allows, and a little looser."""
    assert expected == read(header)


@pytest.mark.parametrize(
    "headers",
    [
        ('Basic realm="b", Bearer realm="a",service="s"',),
        ('Basic realm="b"', 'Bearer realm="a",service="s"'),
        ("Basic realm=b,Bearer realm=a,service=s",),
    ],
)
def test_several_challenges(headers: tuple[str, ...]) -> None:
    """Several challenges are all read, from one header or from many, in their order."""
    bearer = ("bearer", {"realm": "a", "service": "s"})
    assert [("basic", {"realm": "b"}), bearer] == read(*headers)


def test_first_value_of_a_parameter_counts() -> None:
    """A parameter that is there twice cannot replace the first one."""
    assert read('Bearer realm="a",REALM="b"') == [("bearer", {"realm": "a"})]


@pytest.mark.parametrize(
    "header",
    ["", " ,\t,", "=", '"', '="x"', 'realm="a"', "(((", "ä=ö", "\x00", "Bearer\x00realm=a"],
)
def test_garbage_has_no_parameters(header: str) -> None:
    """What is no challenge yields nothing that could be acted on."""
    assert [parameters for _, parameters in read(header) if parameters] == []


@pytest.mark.parametrize(
    "unreadable", ["Negotiate YWJj==, ", 'Digest x="unfinished\\, ', "Basic ä, ", "Basic =x; , "]
)
def test_reading_goes_on_behind_garbage(unreadable: str) -> None:
    """What cannot be read is left out, up to the next comma, and what follows is read."""
    assert ("bearer", {"realm": "a"}) in read(f"{unreadable}Bearer realm=a")


@pytest.mark.parametrize("piece", [",", " ", "a", "a=", 'a="', "a ", "\\", 'a="\\', "a,", "a=b,"])
def test_reading_is_quick(piece: str) -> None:
    """A header of 64 KiB is read in time that does not grow with the square of its length."""
    began = time.process_time()
    read("Bearer " + piece * (65536 // len(piece)))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        ("repository:library/x:pull", "repository:library/x:pull"),
        ("repository:proxy/library/x:pull", "repository:proxy/library/x:pull"),
        ("repository:x:pull,push", "repository:x:pull"),
        ("repository:x:*", "repository:x:pull"),
        ("repository:x:delete", "repository:x:pull"),
        ("repository(plugin):x:pull,push", "repository(plugin):x:pull"),
        ("repository:h:5000/x:pull", "repository:h:5000/x:pull"),
        ("repository:a:pull repository:b:pull,push", "repository:a:pull repository:b:pull"),
        ("repository:a:pull repository:a:push", "repository:a:pull"),
        ("registry:catalog:*", "registry:catalog:*"),
        ("acme-reader", "acme-reader"),
        ("", ""),
        ("repository:\u00e4:pull", ""),
        ("repository:x\r\nX-Evil:pull", ""),
        ("x" * 3000, ""),
    ],
)
def test_scope_of_the_challenge_is_asked_for(scope: str, asked: str) -> None:
    """The scope is that of the challenge, with no more rights than to pull."""
    assert asked == read_scope(Challenge("bearer", {"realm": "r", "scope": scope}))
