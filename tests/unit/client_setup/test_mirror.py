"""What users say of a mirror: its address, a certificate and a token."""

import pytest

from registry.clients.mirror import Mirror, parse_mirror
from registry.errors import MirrorAddressInvalid, NameInvalid

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB+/=\nabc\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("url", "shown", "is_plain", "is_local"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000", True, True),
        ("http://localhost:5000/", "http://localhost:5000", True, True),
        ("https://mirror.lan", "https://mirror.lan", False, False),
        ("http://10.0.0.5:5000", "http://10.0.0.5:5000", True, False),
        ("http://[::1]:5000", "http://[::1]:5000", True, True),
        ("https://[fd00::5]:5000", "https://[fd00::5]:5000", False, False),
        ("http://mirror_1:5000", "http://mirror_1:5000", True, False),
    ],
)
def test_an_address_is_read(url: str, shown: str, is_plain: bool, is_local: bool) -> None:
    """Clients on the machine of the mirror need less, and plain HTTP needs more."""
    mirror = parse_mirror(url, ["docker.io"])
    assert (mirror.url, mirror.is_plain, mirror.is_local) == (shown, is_plain, is_local)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("10.0.0.5:5000", "write http://10.0.0.5:5000, or https://10.0.0.5:5000 if"),
        ("ftp://mirror.lan", "ftp is no scheme of a mirror"),
        ("http://mirror.lan/docker.io", "not the address of a mirror"),
        ("http://mirror.lan:99999", "not the address of a mirror"),
        ("http://mirror.lan:0", "not the address of a mirror"),
        ("http://ann:pass@mirror.lan", "not the address of a mirror"),
        ("http://", "not the address of a mirror"),
        ('http://a"b', "not the address of a mirror"),
        ("http://a\nb", "not the address of a mirror"),
        ("http://mirror.lan/t/ent_secret/", "name a file with the token by --token-file"),
    ],
)
def test_other_addresses_are_refused(url: str, says: str) -> None:
    """The error says what to write; a token is not repeated in it."""
    with pytest.raises(MirrorAddressInvalid) as caught:
        parse_mirror(url, ["docker.io"])
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_registries_are_checked() -> None:
    """They become names of folders and places in files."""
    assert parse_mirror("http://m", ["a.b", "a.b", "c"]).registries == ("a.b", "c")
    for name in ("../etc", "a/b", 'a"b', "A.B"):
        with pytest.raises(NameInvalid):
            parse_mirror("http://m", [name])


def test_certificates_are_taken_out_of_a_file() -> None:
    """Text around them is left out, and line ends of Windows are converted."""
    text = f"subject: CN=x\n{CERTIFICATE}\n{CERTIFICATE}".replace("\n", "\r\n")
    assert read(ca=text).ca == CERTIFICATE * 2
    assert read(ca=CERTIFICATE.rstrip("\n")).ca == CERTIFICATE


@pytest.mark.parametrize(
    ("text", "says"),
    [(CERTIFICATE + KEY, "has a private key"), ("hello", "has no certificate in PEM")],
)
def test_other_files_are_no_authority(text: str, says: str) -> None:
    """Above all, a private key is given to no client."""
    with pytest.raises(MirrorAddressInvalid, match=says) as caught:
        read(ca=text)
    assert "MIIB" not in str(caught.value)


@pytest.mark.parametrize("token", ["two words", "a/b", 'a"b', "x" * 513])
def test_a_token_is_one_word(token: str) -> None:
    """It becomes a part of a path, and is not repeated in the error."""
    with pytest.raises(MirrorAddressInvalid, match="is not a token") as caught:
        read(token=token)
    assert token not in str(caught.value)


def test_a_token_is_not_in_the_form_for_logs() -> None:
    """A mirror that is printed while debugging shows none."""
    assert "ent_secret" not in repr(read(token="ent_secret"))


def read(*, ca: str = "", token: str = "") -> Mirror:
    return parse_mirror("http://m:1", ["docker.io"], ca=ca, token=token)
