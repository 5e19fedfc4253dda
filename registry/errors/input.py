"""Errors of a request or argument that cannot be used: its author has to change it."""

from registry.errors.root import EntrepotError


class InvalidInput(EntrepotError):
    """A request or argument that is malformed: it fails again if it is repeated unchanged."""


class NameInvalid(InvalidInput):
    """A repository name outside the grammar of the distribution specification."""

    def __init__(self, name: str) -> None:
        self.name = name
        rule = "write lower-case letters and digits; one of . _ __ - or / may stand between them"
        length = "; it has more than 255 characters" if len(name) > 255 else ""
        super().__init__(f"invalid repository name {name[:300]!r}: {rule}{length}")


class TokenMisplaced(InvalidInput):
    """A token stands where a name belongs, as in `docker pull mirror/t/TOKEN/app`."""

    def __init__(self) -> None:
        super().__init__(
            "a token of this mirror stands where a name belongs, and does not count there: log in"
            " with it as the password, or write it into the address of the mirror for dockerd"
            " (registry-mirrors), such as https://mirror.lan/t/TOKEN/"
        )


class NameIsURL(InvalidInput):
    """An image is named by a URL: the name `bare` follows a `scheme` such as `http://`."""

    def __init__(self, scheme: str, bare: str) -> None:
        self.scheme, self.bare = scheme, bare
        super().__init__(
            f"{scheme[:100]}{bare[:300]} is not the name of an image: leave out {scheme[:100]}"
        )


class MirrorNamed(InvalidInput):
    """An image is named as clients pull it by the address of a mirror; `image` is its own name."""

    def __init__(self, address: str, image: str) -> None:
        self.address, self.image = address, image
        super().__init__(
            f"{address[:300]} is not known here; if it is the mirror's address, leave it out:"
            f" {image[:300]}"
        )


class TagInvalid(InvalidInput):
    """A tag outside the grammar of the distribution specification."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        rule = "write at most 128 letters, digits, _ . or -, and begin with a letter, digit or _"
        super().__init__(f"invalid tag {tag[:300]!r}: {rule}")


class DigestInvalid(InvalidInput):
    """A digest outside the grammar, or of an algorithm that is not sha256 or sha512."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        rule = "write sha256: with 64, or sha512: with 128 hexadecimal digits in lower case"
        tag = "" if ":" in digest else "; a tag is written with a colon, as in app:latest"
        super().__init__(f"invalid digest {digest[:300]!r}: {rule}{tag}")


class FileUnreadable(InvalidInput):
    """A file or folder `path` that a command names and that cannot be opened.

    `refusal` is the error of the operating system, and `cure` says what to name instead.
    """

    def __init__(self, path: str, refusal: OSError, cure: str) -> None:
        self.path, self.why = path, refusal.strerror or str(refusal)
        is_denied = isinstance(refusal, PermissionError)
        self.cure = "let this user read it, or run this as its owner" if is_denied else cure
        super().__init__(f"{path}: cannot be read ({self.why}); {self.cure}")


class KeyInvalid(InvalidInput):
    """A file `path` that is not a usable Ed25519 key; `why` is the reason, `cure` what to do."""

    def __init__(self, path: str, why: str, cure: str) -> None:
        self.path, self.why, self.cure = path, why, cure
        super().__init__(f"{path}: cannot be used as a key ({why}); {cure}")


class HostInvalid(InvalidInput):
    """A text that is neither the name of a host nor an address."""

    def __init__(self, text: str) -> None:
        self.text = text
        rule = "write a name such as mirror.lan or an address, without https:// and without a port"
        super().__init__(f"{text[:300]!r} is not a host: {rule}")


class AuthorityInvalid(InvalidInput):
    """A file `path` with which no certificate can be signed; `why` is the reason, `cure` helps."""

    def __init__(self, path: str, why: str, cure: str) -> None:
        self.path, self.why, self.cure = path, why, cure
        super().__init__(f"{path}: cannot sign certificates ({why}); {cure}")


class MirrorAddressInvalid(InvalidInput):
    """What is said of a mirror that clients shall use: `what` is the URL, or the option."""

    def __init__(self, what: str, why: str, cure: str) -> None:
        self.what, self.why, self.cure = what, why, cure
        super().__init__(f"{what[:300]}: {why}; {cure}")


class ClientFileInvalid(InvalidInput):
    """A file `path` of a client that is not changed; `line` is where the reason is (0: nowhere)."""

    def __init__(self, path: str, line: int, why: str, cure: str) -> None:
        self.path, self.line, self.why, self.cure = path, line, why, cure
        where = f"{path}:{line}" if line else path
        super().__init__(f"{where}: {why}; {cure}")


class VolumeTooSmall(InvalidInput):
    """A volume size of `limit` bytes that is too small for the files that every volume contains."""

    def __init__(self, limit: int, least: int) -> None:
        self.limit, self.least = limit, least
        super().__init__(
            f"volumes of {limit} bytes are too small; this bundle needs {least} or more"
        )


class PlatformInvalid(InvalidInput):
    """A text that is neither os/architecture[/variant] nor an architecture alone."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        rule = "write amd64, linux/amd64 or linux/arm/v7"
        super().__init__(f"invalid platform {platform[:100]!r}: {rule}")


class ClientInvalid(InvalidInput):
    """A pattern for clients that is not an address, a network, or a glob of addresses."""

    def __init__(self, client: str) -> None:
        self.client = client
        super().__init__(
            f"invalid client {client[:100]!r}: write an address such as 10.0.0.7, a network such as"
            " 10.1.0.0/16, or a glob such as '10.1.*'"
        )


class PaginationInvalid(InvalidInput):
    """The parameter `n` of a list, which is not a whole number of 0 or more."""

    def __init__(self, n: str) -> None:
        self.n = n
        super().__init__(f"invalid n {n[:100]!r}: write a whole number, 0 or more")


class ListInvalid(InvalidInput):
    """A list of images that cannot be read.

    `source` is the name of the list, `line` the line with the mistake (0: the whole list), and
    `cure` says what to do.
    """

    def __init__(self, source: str, line: int, why: str, cure: str) -> None:
        self.source, self.line, self.why, self.cure = source, line, why, cure
        super().__init__(f"{source}:{line}: {why}; {cure}" if line else f"{source}: {why}; {cure}")


class ValueUnknown(ListInvalid):
    """An image of a list that depends on a value which is not known, such as a variable."""


class RangeUnsatisfiable(InvalidInput):
    """A byte range that begins at or after the end of the content, which has `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the range is outside of the content, which has {size} bytes")
