"""Laws of plain lists of images."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.plain import read_list
from registry.image_lists.results import Findings, ListedImage

DIGEST = f"sha256:{64 * 'a'}"


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("", []),
        ("nginx", ["nginx"]),
        ("nginx\nredis:7\n", ["nginx", "redis:7"]),
        ("nginx\r\n\r\nredis:7\r\n", ["nginx", "redis:7"]),
        ("nginx\rredis:7", ["nginx", "redis:7"]),
        ("\ufeffnginx\n", ["nginx"]),
        ("# a list\n\n  # indented\n\t nginx \t\n", ["nginx"]),
        ("nginx#why\n#nginx", ["nginx"]),
        ("localhost:5000/a\nregistry:5000/a/b:1", ["localhost:5000/a", "registry:5000/a/b:1"]),
        (f"a@{DIGEST}\na:1@{DIGEST}", [f"a@{DIGEST}", f"a:1@{DIGEST}"]),
        ("registry.k8s.io/kube-apiserver:v1.31.0\nregistry.k8s.io/pause:3.10", None),
    ],
)
def test_list_is_read(text: str, images: list[str] | None) -> None:
    """There is one image a line; comments, empty lines and kinds of line ends do not matter."""
    assert (text.split() if images is None else images) == [
        each.image for each in read_list(text, "images.txt").images
    ]


def test_comment_is_part_of_the_place() -> None:
    """The comment after an image is part of its place."""
    text = "# base\nnginx:1.27  # the  front \x1b[31m door\n"
    wanted = ListedImage("nginx:1.27", "images.txt:2 the front \ufffd[31m door")
    assert Findings((wanted,)) == read_list(text, "images.txt")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("nginx\nNginx", 2, "'Nginx' is not an image: invalid repository name"),
        ("nginx redis", 1, "'nginx redis' is more than one word"),
        ("\n\nnginx:", 3, "'nginx:' is not an image: invalid tag ''"),
        ("nginx@", 1, "'nginx@' is not an image: invalid digest ''"),
        ("nginx:@" + DIGEST, 1, "is not an image: invalid tag ''"),
        ("nginx:b@d@" + DIGEST, 1, "is not an image: invalid digest"),
        ("nginx:-@" + DIGEST, 1, "is not an image: invalid tag '-'"),
        ("https://quay.io/a", 1, "is not an image"),
        ("docker://nginx", 1, "is not an image"),
        ("a\x0bb", 1, "'a b' is more than one word"),
    ],
)
def test_other_lines_are_refused(text: str, line: int, why: str) -> None:
    """A line that is not an image is refused, with its number and what to write instead."""
    with pytest.raises(ListInvalid) as error:
        read_list(text, "images.txt")
    assert ("images.txt", line) == (error.value.source, error.value.line)
    assert why in error.value.why
    assert f"images.txt:{line}: {error.value.why}; {error.value.cure}" == str(error.value)


def test_long_list_is_refused() -> None:
    """A list of more than a hundred thousand lines is refused."""
    with pytest.raises(ListInvalid, match=r"^images\.txt: more than 100000 lines; give"):
        read_list("a\n" * 100_000, "images.txt")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nginx:{{ .Values.tag }}", "'nginx:{{ .Values.tag }}' is a template"),
        ("nginx:$TAG", "'nginx:$TAG' contains a variable"),
    ],
)
def test_an_unknown_image_does_not_spoil_the_rest(line: str, why: str) -> None:
    """A line with a variable is noted, and the other lines are read."""
    found = read_list(f"redis\n{line}  # web\nbusybox", "images.txt")
    (note,) = found.notes
    assert [each.image for each in found.images] == ["redis", "busybox"]
    assert (note.place, note.is_unknown) == ("images.txt:2 web", True)
    assert note.why.startswith(why)
