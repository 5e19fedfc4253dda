"""Plain lists: one image a line, and comments after a #."""

from collections.abc import Iterator

from registry.image_lists.location import Location, split_lines
from registry.image_lists.results import Findings, ListedImage, Note, read_or_note


def read_list(text: str, source: str) -> Findings:
    """Read lines such as `registry.k8s.io/pause:3.10  # every pod has one`.

    Empty lines and lines that begin with # are skipped. A comment after an image is added to the
    place of the image: `images.txt:3 every pod has one`. A variable in an image is noted.

    Raises:
        ListInvalid: a line has something other than one image.
    """
    return Findings.sort(_read_lines(text, source))


def _read_lines(text: str, source: str) -> Iterator[ListedImage | Note]:
    for number, line in enumerate(split_lines(text, source), 1):
        # No image contains a '#', so one without a space before it is a comment as well.
        image, _, comment = line.partition("#")
        words = image.split()
        location = Location(source, number)
        if len(words) > 1 and "{{" not in image:
            shown = " ".join(words)[:300]
            raise location.refuse(
                f"{shown!r} is more than one word",
                "write one image a line, the rest after a #",
            )
        if words:
            yield read_or_note(image, location, " ".join(comment.split()))
