"""Laws of sizes, durations, addresses and URLs as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.settings.values import (
    MAX_DURATION,
    MAX_SIZE,
    Address,
    Refusal,
    format_duration,
    format_key,
    format_size,
    mask_proxy,
    parse_address,
    parse_duration,
    parse_list,
    parse_proxy,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("50GiB", 50 * 1024**3),
        ("1.5TiB", 1536 * 1024**3),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        ("12B", 12),
        ("12", 12),
        (12, 12),
        (0, 0),
        (MAX_SIZE, MAX_SIZE),
    ],
)
def test_size_is_read(text: object, size: int) -> None:
    """A size is a number with a unit of 1000 or 1024, or bytes."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "GiB", "50Gi", "50G", "-1", "-1GiB", "1e3", "1,5GiB", "٣GiB", "9EiB", "1GiB\n2"),
        *("1" * 5000, 2**63, -1, 1.5, True, None, ["1"]),
    ],
)
def test_other_sizes_are_refused(text: object) -> None:
    """A text that is not a size is refused in one line that shows how to write one."""
    with pytest.raises(Refusal, match=r'write a size such as "50GiB"') as refusal:
        parse_size(text)
    assert "\n" not in str(refusal.value)


@given(st.integers(0, MAX_SIZE))
def test_printed_size_reads_the_same(size: int) -> None:
    """A printed size is read as the same number of bytes."""
    assert size == parse_size(format_size(size))


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1, "1B"), (1024, "1KiB"), (500_000_000, "500MB"), (50 * 1024**3, "50GiB")],
)
def test_size_is_printed_in_the_largest_whole_unit(size: int, text: str) -> None:
    """A size is printed in the largest unit that gives a whole number."""
    assert text == format_size(size)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60s", 60),
        ("10m", 600),
        ("6h", 21_600),
        ("30d", 2_592_000),
        ("1.5h", 5400),
        ("0.25s", 0.25),
        ("15", 15),
        (15, 15),
        (0.5, 0.5),
        (0, 0),
        ("forever", math.inf),
        (math.inf, math.inf),
    ],
)
def test_duration_is_read(text: object, seconds: float) -> None:
    """A duration is a number with a unit, seconds, or forever."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", "10M", "10 weeks", "-1s", "always", "1e3s", "99999d"),
        *(-1, math.nan, -math.inf, 10**400, MAX_DURATION + 1, True, None, ["1s"]),
    ],
)
def test_other_durations_are_refused(text: object) -> None:
    """A text that is not a duration is refused with an example of one."""
    with pytest.raises(Refusal, match=r'write a duration such as "60s"'):
        parse_duration(text)


@given(st.floats(0, MAX_DURATION).map(lambda x: round(x, 9)) | st.integers(0, 10**9).map(float))
def test_printed_duration_reads_the_same(seconds: float) -> None:
    """A printed duration is read as the same number of seconds."""
    assert seconds == parse_duration(format_duration(seconds))


@pytest.mark.parametrize("text", ["60s", "10s", "10m", "6h", "30d", "90s", "0s", "forever"])
def test_duration_is_printed_as_written(text: str) -> None:
    """A duration is printed in the largest unit of which there are at least two."""
    assert text == format_duration(parse_duration(text))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5000", Address("127.0.0.1", 5000)),
        ("localhost:0", Address("localhost", 0)),
        ("[::1]:5000", Address("::1", 5000)),
        ("[0:0::1]:65535", Address("::1", 65535)),
        (Address("h", 1), Address("h", 1)),
    ],
)
def test_address_is_read_and_printed(text: object, address: Address) -> None:
    """An address is a host and a port, and a printed address is read as the same."""
    assert address == parse_address(text)
    assert address == parse_address(str(address))


@pytest.mark.parametrize(
    "text",
    [
        *("", "5000", ":5000", "*:5000", "::1:5000", "[::1]", "[h]:1", "h:65536", "h:-1", "h:x"),
        *("h:", "1.2.3:5000", "1.2.3.256:5000", "a b:1", "h:٣", "-h:1", 5000, None),
    ],
)
def test_other_addresses_are_refused(text: object) -> None:
    """A text that is not a host and a port is refused with examples."""
    with pytest.raises(Refusal, match=r"write host:port such as"):
        parse_address(text)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_proxy_is_read(scheme: str) -> None:
    """A proxy's URL is of HTTP or SOCKS, with or without credentials."""
    assert f"{scheme}://u:p@h:1080" == parse_proxy(f"{scheme}://u:p@h:1080/")


@pytest.mark.parametrize("text", ["h:1080", "socks4://h", "http://h/path", "http://u:hunter2@"])
def test_other_proxies_are_refused(text: str) -> None:
    """A text that is not a proxy's URL is refused, and a password in it is not printed."""
    with pytest.raises(Refusal, match=r'or "" for none') as refusal:
        parse_proxy(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("", ""),
        ("http://h:1", "http://h:1"),
        ("http://u@h:1", "http://u@h:1"),
        ("socks5://u:p:@q@h:1", "socks5://u:********@h:1"),
    ],
)
def test_shown_proxy_has_no_password(proxy: str, shown: str) -> None:
    """A proxy's URL is printed without its password."""
    assert shown == mask_proxy(proxy)


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b,", ["a", "b"]),
        ('["a,b", "c"]', ["a,b", "c"]),
        ("[0-9.]+", ["[0-9.]+"]),
        (r"v\d{1,3},x", [r"v\d{1,3}", "x"]),
        ("12", ["12"]),
    ],
)
def test_list_is_read(text: str, entries: list[object]) -> None:
    """A list in a variable is JSON, or separated by commas outside braces."""
    assert entries == parse_list(text)


def test_key_is_printed_as_toml_has_it() -> None:
    """Only the parts of a key that need quotes have them."""
    assert format_key(["upstreams", "docker.io", "proxy"]) == 'upstreams."docker.io".proxy'
    assert format_key(["a\nb"]) == r'"a\nb"'
