"""Laws of the ends of certificates: an operator hears of them in time, and not too often."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from registry.access.authority_folder import AuthorityFolder
from registry.access.certificate_expiry import DAY, SOON, ExpiryWatch, choose_end, read_ends
from registry.store import file_watch

NOW = 1_800_000_000.0
LIFE = 825 * DAY


class Site:
    """An authority and a server's certificate, made at `NOW`, and what watches them."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.folder = AuthorityFolder(folder, lambda: self.now)
        self.path = folder / "server.crt"
        self.sign()
        self.watch = ExpiryWatch(self.servers, self.authorities, lambda: self.now)

    @property
    def servers(self) -> Mapping[str, Path]:
        return {"server.tls_cert": self.path}

    @property
    def authorities(self) -> Mapping[str, Path]:
        return {"server.client_ca": self.folder.certificate}

    def sign(self) -> None:
        """Make another certificate for the server."""
        authority, _ = self.folder.open_or_make()
        self.end = self.folder.sign_server(authority, ["mirror.lan"]).expires

    async def look(self, days: float = 0.0) -> list[tuple[str, str]]:
        """Return the levels and reasons of what is logged, some days after the start."""
        self.now = NOW + days * DAY
        with capture_logs() as lines:
            await self.watch.look()
        return [(line["log_level"], line["why"]) for line in lines]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(file_watch, "POLL", 0.0)
    return Site(tmp_path)


async def test_there_is_a_warning_a_month_before(site: Site) -> None:
    """And none before that."""
    assert await site.look(825 - 31) == []

    ((level, why),) = await site.look(825 - 29)

    assert level == "warning"
    assert f"server.tls_cert: {site.path} expires on 2029-04-" in why
    assert "run: entrepot tls self-signed" in why


async def test_the_warning_is_repeated_once_a_day(site: Site) -> None:
    """It is looked for more often, so that a renewal is noticed."""
    assert len(await site.look(800)) == 1
    assert await site.look(800.5) == []
    assert len(await site.look(801)) == 1


async def test_what_has_ended_is_an_error(site: Site) -> None:
    """Clients are refused then."""
    ((level, why),) = await site.look(826)

    assert (level, "has expired on" in why) == ("error", True)


async def test_a_renewal_ends_the_warnings(site: Site) -> None:
    """It counts at the next look, also in the metrics."""
    await site.look(800)
    site.sign()

    assert await site.look(800.1) == []
    expected = [("server.tls_cert", site.end)]
    assert [each for each in site.watch.list_ends() if each in expected] == expected
    assert site.end > NOW + 2 * LIFE - SOON


async def test_the_authority_of_clients_is_watched_too(site: Site) -> None:
    """Its end stops all clients that come with certificates."""
    lines = await site.look(3652 - 1)

    assert [why.partition(":")[0] for _, why in lines] == ["server.tls_cert", "server.client_ca"]


async def test_without_tls_there_is_nothing_to_do(tmp_path: Path) -> None:
    """The task ends at once, and imports nothing."""
    watch = ExpiryWatch({}, {})

    await watch.keep_watching()

    assert watch.list_ends() == ()


def test_of_a_chain_the_own_certificate_counts(site: Site) -> None:
    """Those behind it belong to others, and clients often do not need them."""
    chain = site.path.with_name("chain.pem")
    chain.write_bytes(site.path.read_bytes() + site.folder.certificate.read_bytes())

    (end,) = read_ends({"server.tls_cert": chain}, {}, NOW)

    assert end.expires == site.end


@pytest.mark.parametrize(
    ("ends", "expected"), [([5.0], 5.0), ([5.0, 20.0, 30.0], 20.0), ([3.0, 5.0], 5.0)]
)
def test_one_of_several_authorities_may_have_ended(ends: list[float], expected: float) -> None:
    """The one that ends next counts; if all have ended, the last one does."""
    assert choose_end(ends, 10.0) == expected


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """Whoever uses the file says what is wrong with it."""
    damaged = tmp_path / "damaged"
    damaged.write_text("no certificate")

    assert read_ends({"a": damaged, "b": tmp_path / "gone"}, {}, NOW) == []
