"""Laws of digests."""

import hashlib

import pytest

from registry.errors import DigestInvalid
from registry.oci.digest import Digest

HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_digest_is_read_and_printed(text: str) -> None:
    """The text of a digest is the text that was read."""
    digest = Digest.parse(text)
    assert text == digest == str(digest)
    assert text == f"{digest.algorithm}:{digest.encoded}"


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
    """No other text is a digest, so no other text becomes the name of a file."""
    with pytest.raises(DigestInvalid) as error:
        Digest.parse(text)
    assert text == error.value.digest
    with pytest.raises(DigestInvalid):
        Digest(text)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_digest_of_content(algorithm: str) -> None:
    """The digest of some content matches this content, and no other."""
    digest = Digest.of(b"content", algorithm)

    assert hashlib.new(algorithm, b"content").hexdigest() == digest.encoded
    assert digest == Digest.parse(str(digest))
    assert digest.matches(b"content")
    assert not digest.matches(b"content\0")


def test_sha256_is_the_usual_algorithm() -> None:
    """The default algorithm is sha256."""
    assert f"sha256:{HEX}" == str(Digest.of(b""))


def test_hasher_starts_empty() -> None:
    """Each hasher starts without data, and has the algorithm of its digest."""
    digest = Digest.of(b"ab", "sha512")
    digest.hasher().update(b"other")

    hasher = digest.hasher()
    hasher.update(b"a")
    hasher.update(b"b")

    assert digest.encoded == hasher.hexdigest()
