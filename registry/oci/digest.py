"""Digests: the names of content (image-spec, descriptor.md, "Digests")."""

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from registry.errors import DigestInvalid

if TYPE_CHECKING:
    from hashlib import _Hash

# Only registered algorithms that every client verifies. The anchored, fixed-length pattern is also
# what keeps digests safe as file names: nothing else ever becomes a path.
_GRAMMAR = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A verified-to-be-well-formed digest: `algorithm` and its lower-case hex `encoded`."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `sha256:<64 hex>` or `sha512:<128 hex>`.

        Raises:
            DigestInvalid: anything else, including upper-case hex and other algorithms.
        """
        found = _GRAMMAR.fullmatch(text)
        if found is None:
            raise DigestInvalid(text)
        algorithm, _, encoded = text.partition(":")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Compute the digest of `content`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def hasher(self) -> "_Hash":
        """Return a fresh hash object of this digest's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=True)

    def matches(self, content: bytes) -> bool:
        """Whether `content` is what this digest names."""
        return hashlib.new(self.algorithm, content).hexdigest() == self.encoded

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
