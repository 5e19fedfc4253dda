"""Files that are known to name images, and that are not read: what they are, and what to do."""

import re
from dataclasses import dataclass

_LIST_THEM = "write its images into a list, one a line"


@dataclass(frozen=True, slots=True)
class UnreadKind:
    """A kind of files that is not read; `what` it is, and the `cure`."""

    what: str
    cure: str


_BAKE = UnreadKind(
    "a Docker Bake file", "name the Dockerfiles that it builds, or write its images into a list"
)
_CHART = UnreadKind(
    "a packed Helm chart", "render it first: helm template ... | entrepot ... --file -"
)
_UNIT = UnreadKind("a Quadlet unit of Podman", "write the images after Image= into a list")
_ARCHIVE = UnreadKind("an archive", "give the files in it, or the list that belongs to it")
_PROGRAM = UnreadKind(
    "a program", "run it and give what it writes, or write its images into a list"
)

_BY_NAME: tuple[tuple[re.Pattern[str], UnreadKind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"docker-bake.*\.(?:hcl|json)", _BAKE),
        (r".*\.nomad(?:\.hcl)?", UnreadKind("a Nomad job", _LIST_THEM)),
        (r".*\.hcl", UnreadKind("an HCL file, such as for Docker Bake or Nomad", _LIST_THEM)),
        (r".*\.tf(?:\.json|vars)?", UnreadKind("a Terraform file", _LIST_THEM)),
        (r"earthfile|.*\.earth", UnreadKind("an Earthfile", _LIST_THEM)),
        (r"jenkinsfile.*", UnreadKind("a Jenkinsfile", _LIST_THEM)),
        (r"vagrantfile", UnreadKind("a Vagrantfile", _LIST_THEM)),
        (r".*\.(?:container|image)", _UNIT),
        (r".*\.tgz", _CHART),
        (r".*\.(?:tar|tar\.(?:gz|xz|zst|bz2)|zip|gz|zst)", _ARCHIVE),
        (r"tiltfile|(?:gnu)?makefile|justfile", _PROGRAM),
        (r".*\.(?:jsonnet|libsonnet|cue|pkl|star|bzl|mk|sh|bash|ps1|py|js|ts|go)", _PROGRAM),
    )
)
# A file whose name says nothing may be one of these.
_UNIT_TEXT = re.compile(r"^\[(?:Container|Unit)\][ \t]*\r?$", re.MULTILINE)
_BAKE_TEXT = re.compile(r"""^(?:target|group)[ \t]+"[^"\n]*"[ \t]*\{""", re.MULTILINE)


def find_unread_kind(name: str, text: str) -> UnreadKind | None:
    """Return the kind of a file that is not read, by its name in lower case and by its text."""
    for pattern, kind in _BY_NAME:
        if pattern.fullmatch(name):
            return kind
    if "." in name:  # another name says what the file is
        return None
    if _UNIT_TEXT.search(text):
        return _UNIT
    return _BAKE if _BAKE_TEXT.search(text) else None
