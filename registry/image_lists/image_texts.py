"""Texts that look like images: arguments of commands, values of variables, files inside files.

A name such as `--engine-image` or `RELATED_IMAGE_KAFKA` is a sign that its value is an image. A
text without such a sign has to be written as nothing else is: with a registry and a tag, for
example.
"""

import re
from collections.abc import Iterator

from registry.errors import InvalidInput
from registry.image_lists.results import check_image

MAX_LENGTH = 4096  # characters; no image is longer
_OTHER_VALUES = frozenset({"auto", "default", "false", "no", "none", "off", "on", "true", "yes"})
# Endings of names of pictures, of images of disks, and of other files.
_FILE_SUFFIXES = (
    *(".avif", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".svg", ".webp"),
    *(".bin", ".img", ".iso", ".qcow2", ".raw", ".vhd", ".vmdk"),
)
_KEY_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_IMAGE_WORDS = frozenset({"image", "images"})
# Names with "image" in them that end so have a part of an image, or no image.
_PARTS = frozenset(
    {
        *("count", "digest", "format", "id", "kind", "policy", "prefix", "pull", "registry"),
        *("repo", "repository", "secret", "secrets", "size", "tag", "type", "version"),
    }
)
_ENDS = _IMAGE_WORDS | {"name", "names", "ref", "reference"}
_DASHED = r"(?<![\w.-])-{0,2}(?P<key>[A-Za-z_][\w.-]*+)"
_PAIR = re.compile(
    _DASHED + r"""["']?\s*+(?:=|:(?=[\s"']))\s*+(?P<quote>["']?)(?P<value>[^\s"',;\\]+)"""
)
_FLAG = re.compile(r"(?<![\w.-])--?(?P<key>[A-Za-z][\w-]*+)[ \t]++[\"']?(?P<value>[^\s\"',;\\]+)")
_RUN = re.compile(r"(?<![\w./:@+})$-])[A-Za-z0-9][\w./:@+-]*+(?![{$(])")
_LEAD = re.compile(r"[\s\"'-]*+")
_REST = re.compile(r"[\s,\"']*+(?:#|$)")
_SCHEMES = ("docker://", "docker-image://")
_TAG = re.compile(r"v?[0-9]+(?:(?:\.[0-9]+)+(?:[_.-].*)?|-[a-z].*)|latest|stable|edge|nightly")
_DOMAIN = re.compile(r"localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}|[0-9]+(?:\.[0-9]+){3}")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
# Labels and taints of nodes, as in `kubernetes.io/os:linux`; no registry has this name.
_LABELS = ("kubernetes.io",)
_PORTS = frozenset({"21", "22", "23", "25", "53", "80"})
_NO_NAMES = frozenset({"version", "sha256", "sha512"})


def is_plausible(text: str) -> bool:
    """Whether a value of a field for images is one, and not a switch, a picture or a sentence."""
    bare = text.strip()
    if len(bare) > MAX_LENGTH or bare.isdecimal():
        return False
    if bare.lower() in _OTHER_VALUES or bare.endswith(_FILE_SUFFIXES):
        return False
    try:
        check_image(bare)
    except InvalidInput:
        return False
    return True


def is_image_name(name: str) -> bool:
    """Whether the name of a field, argument or variable says that its value is an image."""
    if "image" not in name.lower():  # most names end here, and a list of pods has many
        return False
    words = [word.lower() for word in _KEY_WORD.findall(name[-MAX_LENGTH:])]
    return not _IMAGE_WORDS.isdisjoint(words) and words[-1] not in _PARTS


def find_image_texts(text: str, name: str, *, is_secret: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the number of the line, from 0, and each text in a value that looks like an image.

    `name` is the name of the value. Of secrets, only texts with a registry, or with a name that
    says that they are images, are shown: other texts may be what is secret.
    """
    is_named = is_image_name(name)
    if is_named and _ends_as_image(name) and is_plausible(text):
        yield 0, text.strip()
        return
    for number, line in enumerate(text.split("\n")):
        if is_named or ":" in line or "@" in line or "image" in line.lower():
            found = _search(line, is_named=is_named, is_secret=is_secret)
            yield from ((number, each) for each in dict.fromkeys(found))


def _ends_as_image(name: str) -> bool:
    return _KEY_WORD.findall(name[-MAX_LENGTH:])[-1].lower() in _ENDS


def _search(line: str, *, is_named: bool, is_secret: bool) -> Iterator[str]:
    yield from _search_pairs(line)
    for run in _RUN.finditer(line):
        value = _strip(run[0])
        if run[0].startswith(_SCHEMES):
            value = _strip(run[0].partition("://")[2])
            is_found = is_plausible(value)
        elif is_named:
            is_found = _has_parts(value) and is_plausible(value)
        else:
            is_found = ":" in value and _is_certainly_one(value, is_secret=is_secret)
        if is_found:
            yield value


def _search_pairs(line: str) -> Iterator[str]:
    """Yield the values of names that say that they are images, as `image: a` and `--image a`."""
    lead = _LEAD.match(line)
    start = lead.end() if lead else 0
    for pair in _PAIR.finditer(line):
        value = _strip(pair["value"])
        if is_image_name(pair["key"]) and is_plausible(value):
            # A sentence may have "image: " in it, so a single word has to be all of the value.
            is_quoted = pair["quote"] and line[pair.end() : pair.end() + 1] == pair["quote"]
            is_alone = pair.start("key") <= start and _REST.match(line, pair.end())
            if _has_parts(value) or is_quoted or is_alone:
                yield value
    for flag in _FLAG.finditer(line):
        value = _strip(flag["value"])
        if is_image_name(flag["key"]) and _has_parts(value) and is_plausible(value):
            yield value


def _strip(text: str) -> str:
    return text.rstrip(".,:;-@/)]}").lstrip(".,:-")


def _has_parts(text: str) -> bool:
    return not {*"/:@"}.isdisjoint(text)


def _is_certainly_one(text: str, *, is_secret: bool) -> bool:
    """Whether a text without any sign around it is written as an image."""
    if not is_plausible(text):
        return False
    name, _, digest = text.partition("@")
    first, slash, path = name.partition("/")
    head, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    host, _, port = first.partition(":")
    if slash and ((port and ":" in path) or _DOMAIN.fullmatch(host)):
        return bool(digest or tag) and not host.endswith(_LABELS)
    if is_secret or _NO_NAMES.intersection({head}):
        return False
    if digest:
        return True
    if not slash:
        is_address = _ADDRESS.fullmatch(tag) is not None
        return _TAG.fullmatch(tag) is not None and not (head.isdecimal() or is_address)
    return _is_tag_of_a_path(tag) and "." not in head and any(map(str.isalpha, head))


def _is_tag_of_a_path(tag: str) -> bool:
    """Whether `a/b:tag` has a tag; it may also be a service with a port, or a rule of a proxy."""
    if tag.isdecimal():
        return len(tag) < 3 and tag not in _PORTS
    return _TAG.fullmatch(tag) is not None or any(map(str.isdecimal, tag)) or tag in ("main", "dev")
