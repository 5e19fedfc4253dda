"""Laws of sources with arbitrary texts: findings or a `ListInvalid`, and no other error."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.errors import ListInvalid
from registry.image_lists.detection import Kind, find_images
from registry.image_lists.env_file import gather_variables
from registry.image_lists.image_texts import is_plausible
from registry.image_lists.plain import read_list
from registry.image_lists.results import Findings, check_image, merge
from registry.image_lists.shell_pattern import ShellPattern
from registry.oci.registries import Registries

# The words of all four grammars, so that chance finds what only their mixtures do.
WORDS = (
    *("apiVersion: v1\n", "kind: ", "Pod\n", "List\n", "CronJob\n", "Widget\n", "items:\n", "- "),
    *("spec:\n", "  ", "    ", "template:\n", "containers:\n", "image: ", "name: ", "reference: "),
    *("services:\n", "build: .\n", "extends: ", "<<: ", "*a ", "&a ", "---\n", "...\n", "!t "),
    *("FROM ", "ARG A=", "AS ", "COPY --from=", "RUN --mount=from=", "ONBUILD ", "<<A ", "A\n"),
    *("kind: ConfigMap\n", "data:\n", "value: ", "repository: ", "tag: ", "images:\n", "default: "),
    *("quay.io: ", "apiVersion: content.hauler.cattle.io/v1\n", "kind: Images\n", "sync:\n"),
    *(
        "kind: ZarfPackageConfig\n",
        "components:\n",
        "args: ",
        "--x-image=",
        "docker://",
        "a/b:1.2 ",
    ),
    *(
        "#",
        "##",
        "%",
        "%%",
        "/",
        "//",
        "*",
        "${A",
        "$TARGETARCH",
        "ARG B=",
        "$B",
        "web:\n",
        "labels: ",
    ),
    *("# ", "# syntax=", "# escape=`\n", "\\\n", "`\n", "\n", "\r\n", "\r", "\t", " ", "\ufeff"),
    *("nginx:1 ", "a@sha256:", "localhost:5000/a ", "${", "}", "$A", "$$", ":-", "+", "?", "$("),
    *("{{ .x }}", "{", "[", "]", "'", '"', "|\n", ">-\n", "null ", ": ", ", ", "=", "0", "\\"),
    *("\0", "\x85", "\u2028", "ä", "\ud800"),
)

texts = st.text() | st.lists(st.sampled_from(WORDS), max_size=60).map("".join)
kinds = st.none() | st.sampled_from(Kind)
names = st.sampled_from(["-", "a.yaml", "compose.yml", "Dockerfile", "images.txt"])

segments = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
registries = st.sampled_from(["", "localhost/", "registry.lan:5000/", "quay.io/"])
tags = st.just("") | st.from_regex(r":[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True)
digests = st.sampled_from(["", f"@sha256:{64 * '0'}", f"@sha512:{128 * 'f'}"])
images = st.builds("{}{}{}{}".format, registries, paths, tags, digests)
reasons = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=20)
ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n# x\n"])


@given(texts, names, kinds)
def test_any_text_is_read_or_refused(text: str, name: str, kind: Kind | None) -> None:
    """No text makes a reader fail in another way, and everything it finds is an image."""
    try:
        found = find_images(text.encode(errors="surrogatepass"), name, kind=kind)
    except ListInvalid as error:
        found, output = Findings(), str(error)
    else:
        output = ""
    assert output.isprintable()
    for each in found.images:
        check_image(each.image)
    assert all(each.place.isprintable() for each in found.images)
    assert all(str(each).isprintable() for each in found.notes)
    assert len(merge(found.images, Registries("docker.io"))) <= len(found.images)


@given(st.binary(), names, kinds)
def test_any_bytes_are_read_or_refused(data: bytes, name: str, kind: Kind | None) -> None:
    """No bytes make a reader fail in another way."""
    try:
        find_images(data, name, kind=kind)
    except ListInvalid:
        return


@given(texts, st.dictionaries(st.sampled_from("ABC"), st.text()))
def test_any_env_text_is_read_or_refused(text: str, environment: dict[str, str]) -> None:
    """An .env text gives variables, which the environment overrides, or is refused."""
    try:
        variables = gather_variables(environment, text)
    except ListInvalid:
        return
    assert environment == {name: variables[name] for name in environment}


@given(st.lists(st.tuples(images, reasons, ends), max_size=8))
def test_list_is_what_was_written(lines: list[tuple[str, str, str]]) -> None:
    """With any comments and line ends, the images of a list are those that were written."""
    text = "".join(f"  {image}  # {reason}{end}" for image, reason, end in lines)
    assert [image for image, _, _ in lines] == [each.image for each in read_list(text, "a").images]
    assert find_images(text.encode(), "a.txt") == read_list(text, "a.txt")


@settings(deadline=None)  # four readers in one
@given(st.lists(images, min_size=1, max_size=8))
def test_images_are_found_in_every_kind(written: list[str]) -> None:
    """The same images are found in every kind of file, and from a pipe."""
    pods = [f"kind: Pod\nspec: {{containers: [{{image: '{image}'}}]}}\n" for image in written]
    services = "".join(f"  s{n}:\n    image: {image}\n" for n, image in enumerate(written))
    sources = {
        Kind.KUBERNETES: "---\n".join(pods),
        Kind.COMPOSE: f"services:\n{services}",
        Kind.DOCKERFILE: "FROM scratch\n" + "".join(f"FROM {image}\n" for image in written),
        Kind.LIST: "\n".join(written),
    }
    for text in sources.values():
        assert written == [each.image for each in find_images(text.encode(), "-").images]


guesses = images.filter(lambda image: is_plausible(image) and image[-1].isalnum())
others = st.sampled_from(["", "x", "# x", "a: b", "{}"])


@given(st.lists(st.tuples(others, guesses), max_size=8))
def test_guess_is_on_its_line(lines: list[tuple[str, str]]) -> None:
    """The line of each guess in a text of a ConfigMap is the line of the file that has it."""
    block = "".join(f"    {other}\n    IMAGE={image}\n" for other, image in lines)
    text = f"kind: ConfigMap\ndata:\n  a: |\n    first\n{block}"
    found = [each for each in find_images(text.encode(), "a.yaml").images if each.is_guess]
    written = text.splitlines()
    numbers = [int(each.place.split()[0].removeprefix("a.yaml:")) for each in found]
    assert [image for _, image in lines] == [each.image for each in found]
    for number, each in zip(numbers, found, strict=True):
        assert written[number - 1] == f"    IMAGE={each.image}"


@given(st.text("ab/.*?\\}", max_size=12), st.text("ab/.", max_size=12), st.text("ab*", max_size=4))
def test_pattern_is_what_an_expression_finds(pattern: str, text: str, by: str) -> None:
    """Every pattern does what the regular expression does that BuildKit makes of it."""
    try:
        parsed = ShellPattern.parse(pattern)
    except ValueError:
        return
    tokens = re.findall(r"\\.|.", pattern)
    wild = {"*": ".*", "?": "."}
    greedy = "".join(wild.get(each) or re.escape(each[-1]) for each in tokens)
    lazy = greedy.replace(".*", ".*?")
    for longest, expression in ((True, greedy), (False, lazy)):
        assert re.sub(rf"\A(?:{expression})", "", text, count=1) == parsed.trim_start(
            text, longest=longest
        )
    first = re.sub(greedy, lambda _: by, text, count=1)
    assert first == parsed.replace(text, by, everywhere=False)
    ends = [text[:n] for n in range(len(text) + 1) if re.fullmatch(greedy, text[n:])]
    for longest in (True, False):
        right = (min if longest else max)(ends, key=len, default=text)
        assert right == parsed.trim_end(text, longest=longest)


@pytest.mark.parametrize("kind", Kind)
@given(st.lists(st.sampled_from("[]{}-:?&*!|>'\"%@`#, \n\ta0<"), max_size=80).map("".join))
def test_punctuation_is_read_or_refused(kind: Kind, text: str) -> None:
    """Any sequence of the characters that parsers treat specially is read or refused."""
    try:
        find_images(text.encode(), "-", kind=kind)
    except ListInvalid:
        return
