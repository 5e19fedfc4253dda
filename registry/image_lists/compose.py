"""Compose files: the images of all services, whatever their profile."""

from collections.abc import Iterator, Mapping

from registry.image_lists.interpolation import Dialect, expand
from registry.image_lists.location import Location
from registry.image_lists.results import Findings, Note, Wanted, want
from registry.image_lists.yaml_tree import Field, read_documents

# Compose asks no registry then. With `never` it does not either, but the image must be there: it
# is what people write who carry their images across by hand.
_BUILT_ALWAYS = "build"


def read_compose(text: str, source: str, variables: Mapping[str, str]) -> Findings:
    """Read the `image` of each service, and its volumes of type `image`.

    A variable without a value is refused, where Compose would take it for empty. An image that
    the file also says how to build is a guess: no registry need have it.

    Raises:
        ListInvalid: not YAML, or an image that is none.
    """
    return Findings.sort(_Reading(source, variables).read(text))


class _Reading:
    def __init__(self, source: str, variables: Mapping[str, str]) -> None:
        self._source = source
        self._variables = variables

    def read(self, text: str) -> Iterator[Wanted | Note]:
        for document in read_documents(text, self._source):
            if include := document.fields.get("include"):
                yield Note(
                    self._place(include.line, "include"), "not followed; read those files too"
                )
            for name, service in document.find("services").fields.items():
                yield from self._read_service(f"service {name[:300]}", service)

    def _read_service(self, who: str, service: Field) -> Iterator[Wanted | Note]:
        fields = service.node.fields
        extends = fields.get("extends")
        if extends and (file := extends.node.find("file").text):
            why = f"extends is not followed; read {file[:300]!r} too"
            yield Note(self._place(extends.line, who), why)
        image, build = fields.get("image"), fields.get("build")
        is_built = build is not None and not build.node.is_empty
        if image and service.node.find("pull_policy").text == _BUILT_ALWAYS:
            yield Note(self._place(image.line, who), "pull_policy says that it is always built")
        elif image and (text := self._expand(image)):
            yield want(text, Location(self._source, image.line), who, is_guess=is_built)
        elif build is not None and is_built:
            why = "built, not pulled; read its Dockerfile too"
            yield Note(self._place(build.line, who), why)
        elif not extends:
            yield Note(self._place(service.line, who), "it names no image")
        for volume in service.node.find("volumes").items:
            if volume.find("type").text == "image" and (of := volume.fields.get("source")):
                yield want(self._expand(of), Location(self._source, of.line), f"{who} volume")

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

    def _place(self, line: int, who: str) -> str:
        return Location(self._source, line).place(who)
