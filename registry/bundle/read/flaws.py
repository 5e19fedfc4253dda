"""What is wrong with a bundle, apart from its blobs: damage, and entries of other programs."""

from registry.errors import BundleForeign, BundleInvalid

MAX_FLAWS = 100  # after so many flaws a source is not read further


class Flaws:
    """Sentences about the damage of a bundle, the first found first; at most `MAX_FLAWS`.

    `foreign` is the first of them, if it is about an entry that no damage explains. After damage
    such an entry may be part of a blob, in which the search for the next header found it.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.foreign = ""
        self._count = 0

    def take(self, known: int) -> list[str]:
        """Remove the messages after the first `known` ones, and return them."""
        taken = self.messages[known:]
        del self.messages[known:]
        return taken

    def note(self, error: BundleInvalid) -> None:
        """Add the message of an error, unless it was added before.

        Raises:
            BundleInvalid: there are more than `MAX_FLAWS` errors.
        """
        if isinstance(error, BundleForeign) and not self.messages:
            self.foreign = str(error)
        self._count += 1  # repeated messages count too: a source could repeat one without end
        if str(error) not in self.messages:
            self.messages.append(str(error))
        if self._count >= MAX_FLAWS:
            raise BundleInvalid(
                error.place, f"more than {MAX_FLAWS} things are wrong; last: {error.why}"
            )
