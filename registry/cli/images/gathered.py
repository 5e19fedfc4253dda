"""What all sources name together: images, texts that look like images, and notes."""

from collections.abc import Sequence
from dataclasses import dataclass

from registry.cli.messages import warn
from registry.cli.terminal import format_count
from registry.image_lists.results import DOCKER_HUB, Certainty, Entry, ListedImage, Note, merge
from registry.oci.registries import Registries
from registry.oci.token_texts import refuse_tokens

NO_IMAGE = "it names no image"


@dataclass(frozen=True, slots=True)
class Gathered:
    """The images of all sources, each once with the places that name it, and the notes.

    `guesses` are texts that look like images, and that are taken only with `--guesses`.
    """

    entries: tuple[Entry, ...] = ()
    guesses: tuple[Entry, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def unknown(self) -> int:
        """How many places need an image that is not known."""
        return sum(note.is_unknown for note in self.notes)

    @property
    def is_complete(self) -> bool:
        """Whether every image that is needed is known."""
        return not self.unknown

    @classmethod
    def of(
        cls,
        wanted: Sequence[ListedImage],
        notes: Sequence[Note],
        registries: Registries,
        *,
        guesses: bool,
    ) -> "Gathered":
        """Return the images; `guesses` says whether those that are only possible are taken.

        In files, a name without a registry means Docker Hub, whatever the default of `registries`.

        Raises:
            TokenMisplaced: one is named as in `docker pull mirror/t/TOKEN/app`: the registry would
                read the token.
        """
        every = merge(wanted, registries.with_default(DOCKER_HUB))
        for each in every:
            refuse_tokens(each.image)
        is_taken = [guesses or each.certainty < Certainty.POSSIBLE for each in every]
        return cls(
            tuple(each for each, taken in zip(every, is_taken, strict=True) if taken),
            tuple(each for each, taken in zip(every, is_taken, strict=True) if not taken),
            tuple(notes),
        )


def print_notes(gathered: Gathered, *, with_guesses: bool = True) -> None:
    """Print on stderr the places that may need an image, and the guesses that are not taken."""
    for note in gathered.notes:
        warn(str(note))
    if not gathered.guesses:
        return
    for each in gathered.guesses if with_guesses else ():
        for place in each.places:
            warn(f"{place}: {each.image} looks like an image")
    count = format_count(len(gathered.guesses), "text")
    if len(gathered.guesses) == 1:
        warn(f"{count} looks like an image and is not taken; --guesses takes it too")
    else:
        warn(f"{count} look like images and are not taken; --guesses takes them too")
