"""Who asks."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

EVERYBODY = "*"
ANONYMOUS_WORD = "anonymous"
GROUP_SIGN = "@"


class Proof(Enum):
    """How it was proved who asks; the values are the words of the log."""

    NONE = "none"
    PASSWORD = "password"  # noqa: S105 - the word # nosec B105
    TOKEN = "token"  # noqa: S105 - the word # nosec B105
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Principal:
    """An identity, and how it was proved.

    `name` is empty for somebody who has proved nothing. The proof ends at `expires`, in epoch
    seconds. `repositories` limits what a token of `/token` may be used for, by the names under
    which a client asks; None: no limit.
    """

    name: str = ""
    groups: frozenset[str] = frozenset()
    proof: Proof = Proof.NONE
    expires: float = math.inf
    repositories: frozenset[str] | None = None

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing was proved."""
        return not self.name

    def is_among(self, who: Collection[str]) -> bool:
        """Whether one of these words means this identity: a name, `@group`, `anonymous` or `*`."""
        if EVERYBODY in who or (self.name or ANONYMOUS_WORD) in who:
            return True
        return any(f"{GROUP_SIGN}{group}" in who for group in self.groups)


ANONYMOUS = Principal()
