"""Digests: the names of content (image-spec, descriptor.md, "Digests")."""

import hashlib
import re
from typing import TYPE_CHECKING, Self

from registry.errors import DigestInvalid

if TYPE_CHECKING:
    from hashlib import _Hash

# Only registered algorithms that every client verifies. The pattern matches the whole text and
# fixes its length, so digests are safe as file names.
_GRAMMAR = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


class Digest(str):
    """A digest as text: `sha256:<64 hex>` or `sha512:<128 hex>`; it is checked when it is made.

    `algorithm` is the part before the colon, `encoded` the lower-case hex after it. A digest is a
    `str`, because digests are written into paths, headers and catalog rows, and often compared.
    """

    __slots__ = ("algorithm", "encoded")

    algorithm: str
    encoded: str

    def __new__(cls, text: str) -> Self:
        """Check and store the text.

        Raises:
            DigestInvalid: the text is not a digest; upper-case hex and other algorithms are
                refused.
        """
        if _GRAMMAR.fullmatch(text) is None:
            raise DigestInvalid(text)
        digest = super().__new__(cls, text)
        digest.algorithm, _, digest.encoded = text.partition(":")
        return digest

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a digest from a request, an upstream or a file.

        Raises:
            DigestInvalid: the text is not a digest, or its algorithm is not supported.
        """
        return cls(text)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Compute the digest of `content`."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}")

    def hasher(self) -> "_Hash":
        """Return a new hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=True)

    def matches(self, content: bytes) -> bool:
        """Whether this is the digest of `content`."""
        return hashlib.new(self.algorithm, content).hexdigest() == self.encoded
