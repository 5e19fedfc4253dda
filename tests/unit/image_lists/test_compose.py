"""Laws of compose files, their variables, and .env texts."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.compose import read_compose
from registry.image_lists.env_file import gather_variables
from registry.image_lists.results import Certainty, Findings, ListedImage, Note

VARIABLES = {"TAG": "1.27", "EMPTY": "", "HOST": "registry.lan:5000", "DOLLAR": "$TAG"}

STACK = """\
name: shop
x-base: &base
  image: "registry.lan:5000/base:1"
  restart: always
services:
  web:
    "image": 'nginx:${TAG}'
    profiles: [never]
  worker:
    <<: *base
    volumes:
      - data:/data
      - type: image
        source: models/small:$TAG
        target: /models
  shadow:
    <<: [*base, {image: other}]
    image: redis
  own:
    build: .
  both:
    build: {context: .}
    image: shop/both
  fresh:
    build: .
    image: shop/fresh
    pull_policy: build
  carried:
    image: shop/carried
    pull_policy: never
  child:
    extends: {file: common.yml, service: web}
  sibling:
    extends: {service: web}
  nothing: {}
include:
  - other.yaml
"""


def read(text: str) -> Findings:
    return read_compose(text, "c.yaml", VARIABLES)


def test_images_of_all_services_are_found() -> None:
    """The services of every profile are read; an image that is also built is a guess."""
    assert (
        ListedImage("nginx:1.27", "c.yaml:7 service web"),
        ListedImage("registry.lan:5000/base:1", "c.yaml:3 service worker"),
        ListedImage("models/small:1.27", "c.yaml:14 service worker volume"),
        ListedImage("redis", "c.yaml:18 service shadow"),
        ListedImage("shop/both", "c.yaml:23 service both", Certainty.LIKELY),
        ListedImage("shop/carried", "c.yaml:29 service carried"),
    ) == read(STACK).images


def test_the_rest_is_noted() -> None:
    """Everything that may need an image, but names none, gives a note with its place."""
    assert (
        Note("c.yaml:36 include", "the included files are not read; name them too"),
        Note(
            "c.yaml:20 service own",
            "it is built, not pulled; its Dockerfile is read only if it is named too",
        ),
        Note("c.yaml:26 service fresh", "it is always built, by its pull_policy"),
        Note("c.yaml:32 service child", "'common.yml', which it extends, is not read; name it too"),
        Note("c.yaml:35 service nothing", "it names no image"),
    ) == read(STACK).notes


@pytest.mark.parametrize(
    ("written", "image"),
    [
        *(("${TAG}", "1.27"), ("$TAG", "1.27"), ("${TAG:-2}", "1.27"), ("${TAG-2}", "1.27")),
        *(("${NONE:-2}", "2"), ("${NONE-2}", "2"), ("${EMPTY:-2}", "2"), ("2${EMPTY-3}", "2")),
        *(("2${TAG:+-x}", "2-x"), ("2${EMPTY:+x}", "2"), ("2${EMPTY+x}", "2x"), ("2${NO+x}", "2")),
        *(("${NONE:-${TAG}}", "1.27"), ("${A:-${B:-${C-3}}}", "3"), ("${TAG:-${NONE}}", "1.27")),
        *(("${TAG:?needed}", "1.27"), ("${TAG?}", "1.27"), ("$TAG-$TAG", "1.27-1.27")),
        *(("${TAG}-alpine", "1.27-alpine"), ("${NONE:-}2", "2"), ("2${NONE-}", "2")),
    ],
)
def test_variables_are_filled_in(written: str, image: str) -> None:
    """Variables, their defaults and alternatives are replaced as Compose does it."""
    text = f"services: {{a: {{image: 'nginx:{written}'}}}}"
    assert [f"nginx:{image}"] == [each.image for each in read(text).images]


def test_variable_may_be_the_registry() -> None:
    """A value may have colons and slashes; it is not expanded again."""
    text = "services: {a: {image: '${HOST}/a:1'}, b: {image: '${IMAGE:-quay.io/b:1@2}'}}"
    with pytest.raises(ListInvalid, match=r"'quay\.io/b:1@2' is not an image"):
        read(text)
    assert read(text.partition(", b")[0] + "}").images[0].image == "registry.lan:5000/a:1"


@pytest.mark.parametrize(
    ("image", "why", "cure"),
    [
        ("a:${EMPTY}", "'a:' is not an image", "write it as"),
        ("a:${TAG", "'${' without its '}'", "close the brace"),
        ("a:${TAG/1/2}", "${TAG/1/2} is not understood", "${TAG:-default}"),
        ("${A-" * 11 + "}" * 11, "10 defaults inside each other", "write the value"),
        ("a" * 5000, "more than 4096 characters", "write the image itself"),
        ("Web", "'Web' is not an image", "write it as"),
    ],
)
def test_image_is_refused(image: str, why: str, cure: str) -> None:
    """The error about no image, or about a text that cannot be read, has the line and a cure."""
    with pytest.raises(ListInvalid) as error:
        read(f"services:\n  a:\n    image: '{image}'\n")
    assert error.value.line == 3
    assert why in error.value.why
    assert cure in error.value.cure


@pytest.mark.parametrize(
    ("image", "why", "cure"),
    [
        ("a:${NONE}", "variable NONE has no value", "set it in the environment or in .env"),
        ("a:$NONE", "variable NONE has no value", "${NONE:-default}"),
        ("a:${NONE:-$OTHER}", "variable OTHER has no value", "${OTHER:-default}"),
        ("a:${NONE:?say which}", "variable NONE has no value: say which", "give NONE a value"),
        ("a:${EMPTY:?}", "variable EMPTY has no value", "give EMPTY a value"),
        ("a:$$TAG", "'a:$TAG' contains a variable", "replace the variable by its value"),
        ("a:${DOLLAR}", "'a:$TAG' contains a variable", "replace the variable by its value"),
        ("a:$", "'a:$' contains a variable", "replace the variable by its value"),
    ],
)
def test_an_unknown_image_does_not_spoil_the_rest(image: str, why: str, cure: str) -> None:
    """A variable without a value is noted with a cure, and the other services are read."""
    found = read(f"services:\n  a:\n    image: '{image}'\n  b: {{image: redis}}\n")
    (note,) = found.notes
    assert [each.image for each in found.images] == ["redis"]
    assert note.place == "c.yaml:3 service a"
    assert note.is_unknown
    assert why in note.why
    assert cure in note.why


def test_values_do_not_grow_without_end() -> None:
    """A long value that is repeated is refused before it fills the memory."""
    with pytest.raises(ListInvalid, match="more than 4096 characters"):
        read_compose(
            f"services: {{a: {{image: '{'$A' * 2000}'}}}}", "c.yaml", {"A": "a" * 10_000_000}
        )


@pytest.mark.parametrize("image", ["[nginx]", "{a: b}"])
def test_image_is_a_text(image: str) -> None:
    """A list or mapping in place of an image is refused."""
    with pytest.raises(ListInvalid, match=r"c\.yaml:1: the image is not a text"):
        read(f"services: {{a: {{image: {image}}}}}")


@pytest.mark.parametrize("image", ["", "null", "~", "!reset null", "''", "${NONE:-}"])
def test_no_image_is_noted(image: str) -> None:
    """An empty image gives a note; the word null in quotes is an image."""
    assert (Note("c.yaml:2 service a", "it names no image"),) == read(
        f"services:\n  a:\n    image: {image}\n"
    ).notes
    assert read("services: {a: {image: 'null'}}").images[0].image == "null"


@pytest.mark.parametrize("text", ["", "services:", "services: []", "- services", "services: x"])
def test_a_file_without_services_has_no_images(text: str) -> None:
    """A file without services has no images."""
    assert Findings() == read(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("A=1\nB=2", {"A": "1", "B": "2"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("# c\n\n  A = 1 # why\nexport B=2\nC: 3", {"A": "1", "B": "2", "C": "3"}),
        ("A=x#y\nB=\nC= # none", {"A": "x#y", "B": "", "C": ""}),
        ("A='x # $B'\nB=\"x # y\" # z", {"A": "x # $B", "B": "x # y"}),
        ('A="a\\nb\\"c\\\\"\nB="1\n2"\nC=3', {"A": 'a\nb"c\\', "B": "1\n2", "C": "3"}),
        ('A=1\nB=$A.2\nC=${NO:-3}\nD="${B}"', {"A": "1", "B": "1.2", "C": "3", "D": "1.2"}),
        ('A=$NO\nB=1\nP=pa${ss\nQ=$$x\nR="\\$x"', {"B": "1", "Q": "$x", "R": "$x"}),
        ("A=1\nA=2\nB=1\nB=$NO\nJUST_A_NAME\nC=3", {"A": "2", "C": "3"}),
        ("A=$SHELL_ONLY", {"A": "s"}),
        ("OVER=file\nA=$OVER", {"A": "shell"}),
    ],
)
def test_env_text_gives_variables(text: str, values: dict[str, str]) -> None:
    """Assignments are read as Compose does it; one that uses a missing value gives no value."""
    shell = {"SHELL_ONLY": "s", "OVER": "shell"}
    assert shell | values == gather_variables(shell, text)


@pytest.mark.parametrize(
    ("text", "line"), [("A=1\n\n=2", 3), ("A='1\n\nB=2", 1), ('A="1\n"\nB="', 3), ("A='1' x", 1)]
)
def test_env_text_is_refused(text: str, line: int) -> None:
    """A line that is not an assignment is refused with its number."""
    with pytest.raises(ListInvalid, match=f".env:{line}: not an assignment"):
        gather_variables({}, text)
