"""Compose files: the images of all services, of every profile."""

from collections.abc import Iterator, Mapping

from registry.errors import ValueUnknown
from registry.image_lists.interpolation import expand
from registry.image_lists.location import Location
from registry.image_lists.results import (
    Certainty,
    Findings,
    ListedImage,
    Note,
    note_unknown,
    read_image,
)
from registry.image_lists.yaml_guesses import find_guesses
from registry.image_lists.yaml_tree import Field, Node, read_documents

# With this policy Compose pulls nothing, because it builds the image. With `never` it pulls nothing
# either, but needs the image: people write `never` if they load their images by hand.
_BUILT_ALWAYS = "build"
# Everything else at the top of a file without `services` is a service, as in version 1.
_NO_SERVICES = frozenset(
    {"configs", "include", "models", "name", "networks", "secrets", "version", "volumes"}
)


_VERSION_1_FIELDS = frozenset(
    {
        *("build", "cap_add", "cap_drop", "cgroup_parent", "command", "container_name"),
        *("cpu_quota", "cpu_shares", "cpuset", "devices", "dns", "dns_search", "dockerfile"),
        *("domainname", "entrypoint", "env_file", "environment", "expose", "extends"),
        *("external_links", "extra_hosts", "hostname", "image", "ipc", "labels", "links"),
        *("log_driver", "log_opt", "logging", "mac_address", "mem_limit", "memswap_limit", "net"),
        *("pid", "ports", "privileged", "read_only", "restart", "security_opt", "shm_size"),
        *("stdin_open", "stop_signal", "tty", "ulimits", "user", "volume_driver", "volumes"),
        *("volumes_from", "working_dir"),
    }
)


def read_compose(text: str, source: str, variables: Mapping[str, str]) -> Findings:
    """Read the `image` of each service, and its volumes of type `image`.

    In a file without `services`, as of version 1, the services are at its top. A variable without a
    value is noted as unknown, although Compose would use an empty text. An image that the file also
    builds is a likely guess, since it may be in no registry; other texts that look like images,
    such as values of variables, are less likely ones.

    Raises:
        ListInvalid: the text is not YAML, or a service's image is not an image.
    """
    return Findings.sort(_ComposeReader(source, variables).read(text))


def is_version_1(document: Node) -> bool:
    """Whether a document without `services` can only be a compose file of version 1."""
    services = [each.node for each in document.fields.values()]
    return bool(services) and all(
        (each.find("image").text or "build" in each.fields)
        and each.fields.keys() <= _VERSION_1_FIELDS
        for each in services
    )


class _ComposeReader:
    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self._source = source
        self._variables = variables

    def read(self, text: str) -> Iterator[ListedImage | Note]:
        for document in read_documents(text, self._source):
            if include := document.fields.get("include"):
                yield Note(
                    self._place(include.line, "include"),
                    "the included files are not read; name them too",
                )
            for name, service in _find_services(document).items():
                user = f"service {name[:300]}"
                yield from self._read_service(user, service)
                yield from self._guess_more(user, service)

    def _read_service(self, user: str, service: Field) -> Iterator[ListedImage | Note]:
        fields = service.node.fields
        extends = fields.get("extends")
        if extends and (file := extends.node.find("file").text):
            why = f"{file[:300]!r}, which it extends, is not read; name it too"
            yield Note(self._place(extends.line, user), why)
        image, build = fields.get("image"), fields.get("build")
        is_built = build is not None and not build.node.is_empty
        if image and service.node.find("pull_policy").text == _BUILT_ALWAYS:
            yield Note(self._place(image.line, user), "it is always built, by its pull_policy")
        elif image and not self._is_blank(image):
            yield self._read_image(image, user, Certainty.LIKELY if is_built else Certainty.NAMED)
        elif build is not None and is_built:
            why = "it is built, not pulled; its Dockerfile is read only if it is named too"
            yield Note(self._place(build.line, user), why)
        elif not extends:
            yield Note(self._place(service.line, user), "it names no image")
        for volume in service.node.find("volumes").items:
            if volume.find("type").text == "image" and (of := volume.fields.get("source")):
                yield self._read_image(of, f"{user} volume", Certainty.NAMED)

    def _guess_more(self, user: str, service: Field) -> Iterator[ListedImage]:
        others = {name: each for name, each in service.node.fields.items() if name != "image"}
        for each in find_guesses(Node(service.line, fields=others)):
            location = Location(self._source, each.line)
            yield read_image(each.image, location, f"{user} field {each.path}", Certainty.POSSIBLE)

    def _is_blank(self, field: Field) -> bool:
        try:
            return not self._expand(field)
        except ValueUnknown:
            return False

    def _read_image(self, field: Field, user: str, certainty: Certainty) -> ListedImage | Note:
        location = Location(self._source, field.line)
        try:
            return read_image(self._expand(field), location, user, certainty)
        except ValueUnknown as error:
            return note_unknown(error, location, user)

    def _expand(self, field: Field) -> str:
        location = Location(self._source, field.line)
        if field.node.fields or field.node.items:
            raise location.refuse("the image is not a text", "write registry/name:tag")
        found = expand(field.node.text or "", self._variables, location)
        if found.unset:
            name = found.unset[0]
            cure = f"set it in the environment or in .env, or write ${{{name}:-default}}"
            raise location.refuse_unknown(f"variable {name} has no value", cure)
        return found.text.strip()

    def _place(self, line: int, user: str) -> str:
        return Location(self._source, line).place(user)


def _find_services(document: Node) -> Mapping[str, Field]:
    if "services" in document.fields:
        return document.find("services").fields
    return {
        name: each
        for name, each in document.fields.items()
        if name not in _NO_SERVICES and not name.startswith("x-")
    }
