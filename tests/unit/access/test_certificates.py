"""Laws of the authority for a LAN: what it signs is accepted, and for nothing else."""

import os
import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from registry.access.authority_folder import CERTIFICATE, KEY, AuthorityFolder, WrittenPair
from registry.access.certificates import EARLIER, SIGNED_LIFE, find_gap, parse_host
from registry.errors import AuthorityInvalid, EntrepotError, HostInvalid, InvalidInput
from registry.server.tls import TLSFiles, load_tls
from tests.fakes.certificates import shake_hands

DAY = 86_400


class Site:
    """A folder with an authority, at a time that the test chooses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = time.time()
        self.folder = AuthorityFolder(path, lambda: self.now)

    def sign_server(self, *hosts: str) -> WrittenPair:
        """Return a certificate of a server, and make the authority if there is none."""
        authority, _ = self.folder.open_or_make()
        return self.folder.sign_server(authority, self.folder.list_hosts(hosts))

    def meet(self, server: WrittenPair, client: WrittenPair | None = None) -> tuple[str, str]:
        """Return the names that server and client show each other."""
        files = TLSFiles(str(server.certificate), str(server.key), str(self.folder.certificate))
        trust = ssl.create_default_context(cafile=str(self.folder.certificate))
        if client is not None:
            trust.load_cert_chain(client.certificate, client.key)
        return shake_hands(load_tls(files), trust)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "new" / "tls")


def read(pair: WrittenPair) -> x509.Certificate:
    """Return the certificate in a file."""
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def test_clients_that_trust_the_authority_trust_the_server(site: Site) -> None:
    """And who has a certificate of the authority is known by its name."""
    server = site.sign_server("mirror.lan")

    assert site.meet(server) == ("mirror.lan", "")
    assert site.meet(server, site.folder.sign_client("alice")) == ("mirror.lan", "alice")


def test_a_server_has_its_names_and_addresses(site: Site) -> None:
    """In the form of RFC 5280, 4.2.1.6, each once, and always those of its own machine."""
    server = site.sign_server("Mirror.LAN.", "10.0.0.5", "[fd00::5]", "*.mirror.lan", "10.0.0.5")

    names = read(server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    dns = ["mirror.lan", "*.mirror.lan", "localhost"]
    assert names.get_values_for_type(x509.DNSName) == dns
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["10.0.0.5", "fd00::5", "127.0.0.1", "::1"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "https://mirror.lan", "mirror.lan:5000", "10.0.0.5:5000", "10.0.0.256", "a b", "a/b"),
        *("-a", "a..b", "*", "a.*.b", "x" * 64, ".".join(["x" * 60] * 5), "a.lan,b.lan", "ä.lan"),
    ],
)
def test_what_is_no_host(text: str) -> None:
    """A certificate with such a name would be of no use."""
    with pytest.raises(HostInvalid):
        parse_host(text)


def test_an_authority_is_made_once(site: Site) -> None:
    """Later certificates are signed by the same one, so that clients need nothing new."""
    first = site.sign_server("mirror.lan")
    former, serial = (site.path / CERTIFICATE).read_bytes(), read(first).serial_number
    second = site.sign_server("mirror.lan", "other.lan")

    assert site.folder.open_or_make()[1] is False
    assert (site.path / CERTIFICATE).read_bytes() == former
    assert read(second).serial_number != serial
    assert site.meet(second) == ("mirror.lan", "")


@pytest.mark.parametrize("gone", [CERTIFICATE, KEY])
def test_half_an_authority_is_not_replaced(site: Site, gone: str) -> None:
    """The other half may be on another disk; the error says what to do."""
    site.sign_server()
    (kept,) = {CERTIFICATE, KEY} - {gone}
    content = (site.path / kept).read_bytes()
    (site.path / gone).unlink()

    with pytest.raises(AuthorityInvalid, match=rf"{gone}: .*it is missing.*; put it back"):
        site.folder.open_or_make()

    assert (site.path / kept).read_bytes() == content
    assert not (site.path / gone).exists()


def damage_key(site: Site) -> None:
    (site.path / KEY).write_text("no key")


def mix(site: Site) -> None:
    other = Site(site.path.with_name("other"))
    other.sign_server()
    (site.path / KEY).write_bytes((other.path / KEY).read_bytes())


def use_server(site: Site) -> None:
    (site.path / CERTIFICATE).write_bytes((site.path / "server.crt").read_bytes())
    (site.path / KEY).write_bytes((site.path / "server.key").read_bytes())


def wait_eleven_years(site: Site) -> None:
    site.now += 11 * 365 * DAY


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (damage_key, "."),
        (mix, "the key is of another certificate"),
        (use_server, "it is not the certificate of an authority"),
        (wait_eleven_years, "it has expired"),
    ],
)
def test_an_unusable_authority_signs_nothing(
    site: Site, spoil: Callable[[Site], None], why: str
) -> None:
    """And nothing of it is replaced."""
    site.sign_server()
    spoil(site)
    content = {path: path.read_bytes() for path in site.path.iterdir()}

    for work in (site.sign_server, lambda: site.folder.sign_client("alice")):
        with pytest.raises(AuthorityInvalid, match=f"{why}.*name another folder with --out"):
            work()

    assert {path: path.read_bytes() for path in site.path.iterdir()} == content


def test_without_an_authority_no_client_gets_a_certificate(site: Site) -> None:
    """The error says how to make one."""
    with pytest.raises(AuthorityInvalid, match="run: entrepot tls self-signed"):
        site.folder.sign_client("alice")
    assert not site.path.exists()


def test_keys_are_secret(site: Site) -> None:
    """Only their owner can read them, also when they are made anew; the rest everybody can."""
    for _ in range(2):
        site.sign_server()
        site.folder.sign_client("alice")

        modes = {path.name: path.stat().st_mode & 0o777 for path in site.path.rglob("*.*")}
        keys = {name: mode for name, mode in modes.items() if name.endswith(".key")}
        assert keys == {"ca.key": 0o600, "server.key": 0o600, "alice.key": 0o600}
        assert {modes[name] & 0o044 for name in modes.keys() - keys.keys()} == {0o044}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_renewed_key_stays_with_its_reader(site: Site) -> None:
    """The service that could read the former key can read the new one, and nobody else can."""
    key = site.sign_server().key
    for mode, expected in ((0o640, 0o640), (0o600, 0o600), (0o644, 0o640)):
        os.chown(key, 12345, 54321)
        key.chmod(mode)

        site.sign_server()

        state = key.stat()
        found = (state.st_uid, state.st_gid, state.st_mode & 0o777)
        assert found == (12345, 54321, expected)


def test_certificates_end(site: Site) -> None:
    """The authority after ten years, and what it signs after 825 days, or with the authority."""
    authority, _ = site.folder.open_or_make()
    server, client = site.sign_server(), site.folder.sign_client("alice")

    for pair in (server, client):
        certificate = read(pair)
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert life == SIGNED_LIFE == timedelta(days=825)
        assert certificate.not_valid_before_utc.timestamp() == int(site.now - EARLIER.seconds)
        assert pair.expires == certificate.not_valid_after_utc.timestamp()
    assert 3650 * DAY < authority.expires - site.now < 3653 * DAY
    site.now = authority.expires - 30 * DAY
    assert site.sign_server().expires == authority.expires


def test_a_certificate_is_for_one_use(site: Site) -> None:
    """A client cannot play the server, the server is no user, and neither can sign others."""
    server, client = site.sign_server(), site.folder.sign_client("alice")

    with pytest.raises(ssl.SSLCertVerificationError):
        site.meet(client)
    with pytest.raises(ssl.SSLCertVerificationError):
        site.meet(server, server)
    for pair in (server, client):
        basic = read(pair).extensions.get_extension_for_class(x509.BasicConstraints)
        assert (basic.value.ca, basic.critical) == (False, True)


def test_an_expired_certificate_is_refused(site: Site) -> None:
    """Of clients too."""
    site.sign_server()
    site.now -= 826 * DAY
    former = site.folder.sign_client("alice")
    site.now += 826 * DAY

    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        site.meet(site.sign_server(), former)


@pytest.mark.parametrize("name", ["Alice", "a/b", "../ca", "", "anonymous"])
def test_who_cannot_be_a_user_gets_no_certificate(site: Site, name: str) -> None:
    """Nor is a file written elsewhere."""
    site.sign_server()
    with pytest.raises(InvalidInput):
        site.folder.sign_client(name)
    assert not [*site.path.rglob("*.cert")]


@pytest.mark.parametrize("name", ["ca", "server"])
def test_no_user_takes_the_name_of_a_file(site: Site, name: str) -> None:
    """The keys of authority and server stay."""
    server = site.sign_server()
    site.folder.sign_client(name)

    assert site.folder.open()
    assert load_pem_private_key(server.key.read_bytes(), None)
    assert site.meet(server, site.folder.sign_client(name))[1] == name


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """As for all files."""
    (tmp_path / "file").touch()
    with pytest.raises(EntrepotError, match="file"):
        Site(tmp_path / "file" / "tls").sign_server()


def test_a_gap_in_a_chain_is_found(site: Site) -> None:
    """Each certificate has to be signed by the one that follows it."""
    server = site.sign_server("mirror.lan").certificate.read_bytes()
    authority = site.folder.certificate.read_bytes()
    assert find_gap(server) == find_gap(server + authority) == ""
    assert "which follows it" in find_gap(server + server)
