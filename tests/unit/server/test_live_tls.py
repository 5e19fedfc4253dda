"""Laws of the certificate of a running server: it follows its files."""

import shutil
import ssl
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry.errors import SettingsError
from registry.server.live_tls import LiveTLS
from registry.server.tls import TLSFiles
from registry.store.file_watch import POLL
from tests.fakes.certificates import Authority, make_authority, shake_hands


class Site:
    """A server's files, of which others are copied over the first."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.authority = make_authority(folder)
        self.files = TLSFiles(str(folder / "c.pem"), str(folder / "k.pem"), str(folder / "ca.pem"))
        self.replace(self.authority.certificate)
        self.copy(self.authority.root, self.files.client_ca)
        self.live = LiveTLS(self.files, lambda: self.now)

    def replace(self, certificate: Path) -> None:
        """Replace certificate and key."""
        self.copy(certificate, self.files.certificate)
        self.copy(certificate.with_suffix(".key"), self.files.key)

    @staticmethod
    def copy(source: Path, target: str) -> None:
        """Replace one file."""
        fresh = Path(f"{target}.new")
        shutil.copyfile(source, fresh)
        fresh.replace(target)

    def look(self) -> ssl.SSLContext:
        """Return what a connection gets that comes after the next look."""
        self.now += POLL
        return self.live.context

    def sign(self, name: str) -> Path:
        """Return another certificate for the server."""
        certificate = self.authority.root.with_name(f"{name}.pem")
        self.authority.sign_server(certificate)
        return certificate


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def show(site: Site, authority: Authority | None = None) -> str:
    """Return the name in the certificate that a new connection gets."""
    client = (authority or site.authority).client_context()
    return shake_hands(site.look(), client)[0]


def test_a_new_pair_is_used(site: Site) -> None:
    """By the next connection after the next look; and not before, as looks are few."""
    former = site.live.context
    site.replace(site.sign("renewed"))
    assert site.live.context is former

    with capture_logs() as lines:
        assert show(site) == "renewed of a test"
        show(site)

    assert lines == [
        {
            "event": "certificate read again",
            "log_level": "info",
            "certificate": site.files.certificate,
        }
    ]


def test_half_a_pair_changes_nothing(site: Site) -> None:
    """The former pair stays until both files are there; the log says once what to do."""
    renewed = site.sign("renewed")

    with capture_logs() as lines:
        site.copy(renewed, site.files.certificate)
        assert [show(site) for _ in range(5)] == ["server of a test"] * 5
        site.copy(renewed.with_suffix(".key"), site.files.key)
        assert show(site) == "renewed of a test"

    assert [line["log_level"] for line in lines] == ["error", "info"]
    both = f"{site.files.certificate} and {site.files.key}"
    assert lines[0]["event"] == "certificate not read: the former one stays"
    assert lines[0]["why"] == (
        f"server.tls_cert: {both} do not belong together: the key is of another certificate;"
        " put the key beside its own certificate"
    )


@pytest.mark.parametrize("name", ["certificate", "key", "client_ca"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_file_that_is_being_written_changes_nothing(site: Site, name: str, damage: str) -> None:
    """Whichever it is; and what it becomes is used."""
    path = Path(getattr(site.files, name))
    content = path.read_bytes()

    with capture_logs() as lines:
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
        assert [show(site), show(site)] == ["server of a test"] * 2
        path.write_bytes(content)
        assert show(site) == "server of a test"

    assert [line["log_level"] for line in lines] == ["error", "info"]
    assert str(path) in lines[0]["why"]


def test_a_pair_that_could_not_be_read_once_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if no descriptor was free at that moment: it is read again at the next look."""

    def refuse(key: str, path: str) -> None:
        raise SettingsError(key, f"{path} cannot be read (Too many open files)", "")

    site.replace(site.sign("renewed"))
    with monkeypatch.context() as patch:
        patch.setattr("registry.server.tls.check_readable", refuse)
        assert [show(site), show(site)] == ["server of a test"] * 2

    assert show(site) == "renewed of a test"


def test_a_new_authority_is_used(site: Site, tmp_path: Path) -> None:
    """Certificates of the former one are refused, and those of the new one are accepted."""
    (tmp_path / "other").mkdir()
    other = make_authority(tmp_path / "other")
    alice, bob = site.authority.sign_client("alice"), other.sign_client("bob")
    former = site.authority.client_context(alice)
    new = site.authority.client_context(bob)
    assert shake_hands(site.look(), former)[1] == "alice"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(site.look(), new)

    site.copy(other.root, site.files.client_ca)

    assert shake_hands(site.look(), new)[1] == "bob"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(site.look(), former)


def test_a_session_does_not_outlive_its_authority(site: Site, tmp_path: Path) -> None:
    """A client cannot take up a former session: the new context has other keys for tickets."""
    (tmp_path / "other").mkdir()
    other = make_authority(tmp_path / "other")
    client = site.authority.client_context(site.authority.sign_client("alice"))
    client.maximum_version = ssl.TLSVersion.TLSv1_2  # its sessions are known after the handshake
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()

    def connect(session: ssl.SSLSession | None) -> ssl.SSLObject:
        near = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        far = site.look().wrap_bio(to_server, to_client, server_side=True)
        for _ in range(4):
            for side in (near, far):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        return near

    first = connect(None)
    assert connect(first.session).session_reused
    site.copy(other.root, site.files.client_ca)

    with pytest.raises(ssl.SSLCertVerificationError):
        connect(first.session)


def test_clients_without_a_certificate_are_let_in(site: Site) -> None:
    """They may have a password or a token."""
    assert shake_hands(site.look(), site.authority.client_context())[1] == ""


def test_a_certificate_for_servers_identifies_nobody(site: Site, tmp_path: Path) -> None:
    """Although the same authority has signed it: its use is another one (RFC 5280, 4.2.1.12)."""
    certificate = tmp_path / "mallory.pem"
    site.authority._sign(certificate, "/CN=alice", "extendedKeyUsage=serverAuth")

    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(site.look(), site.authority.client_context(certificate))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(site: Site, version: ssl.TLSVersion) -> None:
    """TLS 1.0 and 1.1 (RFC 8996), whatever the library of this machine allows by itself."""
    client = site.authority.client_context()
    client.minimum_version = client.maximum_version = version
    client.set_ciphers("ALL:@SECLEVEL=0")
    context = site.look()
    context.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.protocol"):
        shake_hands(context, client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_newer_versions_are_spoken(site: Site, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3, also with a client certificate."""
    client = site.authority.client_context(site.authority.sign_client("alice"))
    client.minimum_version = client.maximum_version = version

    assert shake_hands(site.look(), client) == ("server of a test", "alice")


def test_a_file_without_a_certificate_is_no_authority(site: Site) -> None:
    """The error says which file it is, and what to give."""
    wrong = TLSFiles(site.files.certificate, site.files.key, site.files.key)

    with pytest.raises(SettingsError, match=r"server\.client_ca: .* give the PEM certificate"):
        LiveTLS(wrong)
