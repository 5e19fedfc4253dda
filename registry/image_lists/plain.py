"""Plain lists: one image a line, and behind a # whatever people want to remember."""

from collections.abc import Iterator

from registry.image_lists.location import Location, split_lines
from registry.image_lists.results import Findings, Wanted, want


def read_list(text: str, source: str) -> Findings:
    """Read lines such as `registry.k8s.io/pause:3.10  # every pod has one`.

    Empty lines and lines that begin with # say nothing; the trailing reason becomes part of the
    place: `images.txt:3 every pod has one`.

    Raises:
        ListInvalid: a line is not one image.
    """
    return Findings.sort(_read_lines(text, source))


def _read_lines(text: str, source: str) -> Iterator[Wanted]:
    for number, line in enumerate(split_lines(text, source), 1):
        # No image contains a '#', so one without a space before it is a comment as well.
        image, _, reason = line.partition("#")
        words = image.split()
        location = Location(source, number)
        if len(words) > 1 and "{{" not in image:
            told = " ".join(words)[:300]
            raise location.refuse(
                f"{told!r} is more than one word", "one image a line, everything else behind a #"
            )
        if words:
            yield want(image, location, " ".join(reason.split()))
