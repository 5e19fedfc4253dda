"""Compose files: the images of all services, of every profile."""

from collections.abc import Iterator, Mapping

from registry.image_lists.interpolation import Dialect, expand
from registry.image_lists.location import Location
from registry.image_lists.results import Findings, ListedImage, Note, read_image
from registry.image_lists.yaml_tree import Field, read_documents

# With this policy Compose pulls nothing, because it builds the image. With `never` it pulls nothing
# either, but needs the image: people write `never` if they load their images by hand.
_BUILT_ALWAYS = "build"


def read_compose(text: str, source: str, variables: Mapping[str, str]) -> Findings:
    """Read the `image` of each service, and its volumes of type `image`.

    A variable without a value is refused, although Compose would use an empty text. An image that
    the file also builds is a guess, since it may be in no registry.

    Raises:
        ListInvalid: the text is not YAML, or a service's image is not an image.
    """
    return Findings.sort(_ComposeReader(source, variables).read(text))


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
            for name, service in document.find("services").fields.items():
                yield from self._read_service(f"service {name[:300]}", service)

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
        elif image and (text := self._expand(image)):
            yield read_image(text, Location(self._source, image.line), user, is_guess=is_built)
        elif build is not None and is_built:
            why = "it is built, not pulled; name its Dockerfile too"
            yield Note(self._place(build.line, user), why)
        elif not extends:
            yield Note(self._place(service.line, user), "it names no image")
        for volume in service.node.find("volumes").items:
            if volume.find("type").text == "image" and (of := volume.fields.get("source")):
                yield read_image(
                    self._expand(of), Location(self._source, of.line), f"{user} volume"
                )

    def _expand(self, field: Field) -> str:
        location = Location(self._source, field.line)
        if field.node.fields or field.node.items:
            raise location.refuse("the image is not a text", "write registry/name:tag")
        found = expand(field.node.text or "", self._variables, location, Dialect.COMPOSE)
        if found.unset:
            name = found.unset[0]
            cure = f"set it in the environment or in .env, or write ${{{name}:-default}}"
            raise location.refuse(f"variable {name} has no value", cure)
        return found.text.strip()

    def _place(self, line: int, user: str) -> str:
        return Location(self._source, line).place(user)
