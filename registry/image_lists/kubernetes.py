"""Kubernetes YAML: the images that the kubelet pulls for the pods in it.

In the object kinds of Kubernetes itself, it is known which fields contain pods. In other documents
(custom resources, pipelines of a CI), a field named `image` often contains an image: such an image
is a likely guess. All other texts that look like images are guesses too, and less likely.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from registry.image_lists.image_texts import MAX_LENGTH, is_plausible
from registry.image_lists.location import Location
from registry.image_lists.mirror_lists import find_list_reader
from registry.image_lists.rendered import find_render_command
from registry.image_lists.results import (
    Certainty,
    Findings,
    ListedImage,
    Note,
    make_note,
    read_image,
    read_or_note,
)
from registry.image_lists.yaml_guesses import (
    SKIPPED_FIELDS,
    find_defaults,
    find_guesses,
    join_parts,
)
from registry.image_lists.yaml_tree import Field, Node, read_documents

_GROUPS = frozenset({"", "apps", "batch", "extensions"})
_TEMPLATE = ("spec", "template", "spec")
_POD_PATHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Pod": ("spec",),
        "PodTemplate": ("template", "spec"),
        "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    }
    | dict.fromkeys(
        (
            *("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"),
            "ReplicationController",
        ),
        _TEMPLATE,
    )
)
_MAX_NAME = 253  # characters of an object's name; longer names are cut in messages
_CONTAINERS: Mapping[str, str] = MappingProxyType(
    {
        "initContainers": "init container",
        "containers": "container",
        "ephemeralContainers": "ephemeral container",
    }
)
# Objects that contain data or a schema, and no pods.
_SECRET, _SCHEMA = "Secret", "CustomResourceDefinition"
_KINDS_WITHOUT_IMAGES = frozenset({"ConfigMap", _SECRET, _SCHEMA})
_UNSCANNED_FIELDS = SKIPPED_FIELDS | {"annotations"}
_PARTS = frozenset({"registry", "repository"})  # of images in the values of charts
# Istio writes this where its webhook will insert an image.
_INJECTED = "auto"


def read_kubernetes(text: str, source: str) -> Findings:
    """Read all documents: the containers and image volumes of pods, and guesses elsewhere.

    The lists of other programs that mirror images (`mirror_lists.py`) are read too.

    Raises:
        ListInvalid: the text is not YAML, is a template, or a pod's image is not an image.
    """
    reading = _KubernetesReader(source)
    every = (
        found
        for document in read_documents(text, source)
        for found in reading.read_document(document)
    )
    return Findings.sort(every)


class _KubernetesReader:
    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: set[tuple[int, str]] = set()  # images that are no guesses, or likely ones

    def read_document(self, node: Node) -> Iterator[ListedImage | Note]:
        """Read a document: an object, or a list of images."""
        if not node.items or not all(_is_image_or_unknown(item.text) for item in node.items):
            yield from self.read(node, "", "")
            return
        for item in node.items:
            yield read_or_note(item.text or "", Location(self._source, item.line))

    def read(self, node: Node, api: str, kind: str) -> Iterator[ListedImage | Note]:
        """Read an object; if it has no `apiVersion` or `kind`, those of its list are used."""
        api = node.find("apiVersion").text or api
        kind = node.find("kind").text or kind
        metadata = node.find("metadata")
        name = metadata.find("name").text or metadata.find("generateName").text
        label = "/".join(filter(None, (kind or "document", name)))[: 2 * _MAX_NAME]
        read_list = find_list_reader(node, api, kind)
        if kind.endswith("List") and "items" in node.fields:
            for item in node.find("items").items:
                yield from self.read(item, api, kind.removesuffix("List"))
        elif read_list:
            yield from read_list(node, self._source, label)
        else:
            found = [
                *self._read_object(node, api, kind, label),
                *self._guess_more(node, kind, label),
            ]
            yield from found
            if not (found or api) and (node.fields or node.items) and "kind" not in node.fields:
                why = "its kind is not known, and nothing in it looks like an image"
                yield make_note(Location(self._source, node.line), label, why)

    def _read_object(
        self, node: Node, api: str, kind: str, label: str
    ) -> Iterator[ListedImage | Note]:
        path = _POD_PATHS.get(kind) if api.rpartition("/")[0] in _GROUPS else None
        if path is not None:
            yield from self._read_pod(node.find(*path), label)
        elif kind not in _KINDS_WITHOUT_IMAGES:
            if command := find_render_command(node, api, kind, self._source):
                why = f"it needs other files; render it first: {command} | entrepot ..."
                yield make_note(Location(self._source, node.line), label, why)
            yield from self._scan(node, label, ())

    def _guess_more(self, node: Node, kind: str, label: str) -> Iterator[ListedImage]:
        is_secret = kind == _SECRET
        found = find_defaults(node) if kind == _SCHEMA else find_guesses(node, is_secret=is_secret)
        for each in found:
            if (each.line, each.image) not in self._seen:
                self._seen.add((each.line, each.image))
                user = f"{label} field {each.path[-_MAX_NAME:]}".removesuffix(" field ")
                location = Location(self._source, each.line)
                yield read_image(each.image, location, user, Certainty.POSSIBLE)

    def _read_pod(self, pod: Node, label: str) -> Iterator[ListedImage | Note]:
        for group, word in _CONTAINERS.items():
            for container in pod.find(group).items:
                user = f"{label} {word} {_name(container)}"
                image = container.fields.get("image")
                if image is None or image.node.is_empty or image.node.text in ("", _INJECTED):
                    line = image.line if image else container.line
                    why = "it names no image; another program inserts one"
                    yield Note(Location(self._source, line).place(user), why, is_unknown=True)
                else:
                    yield self._read_image(image, user)
        for volume in pod.find("volumes").items:
            reference = volume.find("image").fields.get("reference")
            if reference and reference.node.text:
                yield self._read_image(reference, f"{label} volume {_name(volume)}")

    def _read_image(self, field: Field, user: str) -> ListedImage | Note:
        text = field.node.text or ""
        self._seen.add((field.line, text.strip()))
        return read_or_note(text, Location(self._source, field.line), user)

    def _scan(self, node: Node, label: str, path: tuple[str, ...]) -> Iterator[ListedImage | Note]:
        for name, field in node.fields.items():
            if name in _UNSCANNED_FIELDS:
                continue
            below = (*path, f".{name}" if path else name)
            if name == "image":
                user = f"{label} field {''.join(below)[-_MAX_NAME:]}"
                yield from self._guess(field, join_parts(node)[0], user)
            yield from self._scan(field.node, label, below)
        for number, item in enumerate(node.items):
            yield from self._scan(item, label, (*path, f"[{number}]"))

    def _guess(self, field: Field, joined: str, user: str) -> Iterator[ListedImage | Note]:
        """Read a field `image`; `joined` is the image with the tag that is written beside it."""
        location, value = Location(self._source, field.line), _find_inner(field)
        text = (value.node.text or "").strip()
        if len(text) > MAX_LENGTH:
            return
        if joined.startswith(f"{text}:") and text:
            text = joined
        if is_plausible(text):
            self._seen |= {(field.line, text), (value.line, text)}
            yield read_image(text, location, user, Certainty.LIKELY)
        elif "{{" in text or "$" in text:
            yield make_note(location, user, f"{text[:300]!r} is replaced by another program")
        elif _PARTS & field.node.fields.keys() and not join_parts(field.node)[0]:
            why = "the image is written in parts (repository, tag); write it into a list"
            yield make_note(location, user, why)


def _is_image_or_unknown(text: str | None) -> bool:
    """Whether an item of a sequence is an image, or one of which a part is not known."""
    return text is not None and ("$" in text or "{{" in text or is_plausible(text))


def _find_inner(image: Field) -> Field:
    """Return the field with the name of an image: of an image volume, or of a job of GitLab."""
    inner = image.node.fields
    name = None if _PARTS & inner.keys() else inner.get("name")
    return inner.get("reference") or name or image


def _name(node: Node) -> str:
    return (node.find("name").text or "without a name")[:_MAX_NAME]
