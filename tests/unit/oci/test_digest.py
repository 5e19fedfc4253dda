"""Laws of digests."""

import hashlib

import pytest

from registry.errors import DigestInvalid
from registry.oci.digest import Digest

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_digest_is_read_and_printed(text: str) -> None:
    """What is printed is what was read."""
    assert text == str(Digest.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEX,
        "sha256:",
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX}{HEX}",
        f"sha512:{HEX}",
        f"sha256:{HEX.upper()}",
        f"SHA256:{HEX}",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256:{HEX[:-1]}g",
        f"sha256:{HEX[:-1]}٣",
        f"md5:{HEX[:32]}",
        f"sha384:{HEX}{HEX[:32]}",
        f"sha256+b64:{HEX}",
        f"sha256:../../{HEX[6:]}",
        f"sha256:{HEX[:-1]}\0",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """No other text is a digest, so none becomes the name of a file."""
    with pytest.raises(DigestInvalid) as error:
        Digest.parse(text)
    assert text == error.value.digest


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digest_of_content(algorithm: str) -> None:
    """A digest matches the content it is of, and no other."""
    digest = Digest.of(b"content", algorithm)

    assert hashlib.new(algorithm, b"content").hexdigest() == digest.encoded
    assert digest == Digest.parse(str(digest))
    assert digest.matches(b"content")
    assert not digest.matches(b"content\0")


def test_sha256_is_the_usual_algorithm() -> None:
    """Where nothing is said, content is named by sha256."""
    assert f"sha256:{HEX}" == str(Digest.of(b""))


def test_hasher_starts_empty() -> None:
    """Each hasher begins anew, with the algorithm of its digest."""
    digest = Digest.of(b"ab", "sha512")
    digest.hasher().update(b"other")

    hasher = digest.hasher()
    hasher.update(b"a")
    hasher.update(b"b")

    assert digest.encoded == hasher.hexdigest()
