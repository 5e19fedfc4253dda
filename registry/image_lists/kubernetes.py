"""Kubernetes YAML: the images that the kubelet pulls for the pods in it.

In the object kinds of Kubernetes itself, it is known which fields contain pods. In other documents
(custom resources, pipelines of a CI), a field named `image` often contains an image: such an image
is a guess.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from registry.errors import InvalidInput
from registry.image_lists.interpolation import MAX_LENGTH
from registry.image_lists.location import Location
from registry.image_lists.results import Findings, ListedImage, Note, check_image, read_image
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
_KINDS_WITHOUT_IMAGES = frozenset({"ConfigMap", "Secret", "CustomResourceDefinition"})
_RENDERED_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "Kustomization": "kustomize build ... | entrepot ...",
        "HelmRelease": "helm template ... | entrepot ...",
        "HelmChart": "helm template ... | entrepot ...",
    }
)
_SKIPPED_FIELDS = frozenset({"annotations", "labels", "status"})
# Istio writes this where its webhook will insert an image.
_INJECTED = "auto"
_OTHER_VALUES = frozenset({"auto", "default", "false", "no", "none", "off", "on", "true", "yes"})
# Endings of values of a field `image` that are pictures or images of disks.
_FILE_SUFFIXES = (
    *(".avif", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".svg", ".webp"),
    *(".bin", ".img", ".iso", ".qcow2", ".raw", ".vhd", ".vmdk"),
)


def read_kubernetes(text: str, source: str) -> Findings:
    """Read all documents: the containers and image volumes of pods, and guesses elsewhere.

    Raises:
        ListInvalid: the text is not YAML, is a template, or a pod's image is not an image.
    """
    reading = _KubernetesReader(source)
    every = (
        found
        for document in read_documents(text, source)
        for found in reading.read(document, "", "")
    )
    return Findings.sort(every)


class _KubernetesReader:
    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, node: Node, api: str, kind: str) -> Iterator[ListedImage | Note]:
        """Read an object; if it has no `apiVersion` or `kind`, those of its list are used."""
        api = node.find("apiVersion").text or api
        kind = node.find("kind").text or kind
        metadata = node.find("metadata")
        name = metadata.find("name").text or metadata.find("generateName").text
        label = "/".join(filter(None, (kind or "document", name)))[: 2 * _MAX_NAME]
        path = _POD_PATHS.get(kind) if api.rpartition("/")[0] in _GROUPS else None
        if kind.endswith("List") and "items" in node.fields:
            for item in node.find("items").items:
                yield from self.read(item, api, kind.removesuffix("List"))
        elif path is not None:
            yield from self._read_pod(node.find(*path), label)
        elif kind not in _KINDS_WITHOUT_IMAGES:
            if kind in _RENDERED_KINDS:
                why = f"it needs other files; render it first: {_RENDERED_KINDS[kind]}"
                yield Note(Location(self._source, node.line).place(label), why)
            yield from self._scan(node, label, ())

    def _read_pod(self, pod: Node, label: str) -> Iterator[ListedImage | Note]:
        for group, word in _CONTAINERS.items():
            for container in pod.find(group).items:
                user = f"{label} {word} {_name(container)}"
                image = container.fields.get("image")
                if image is None or image.node.is_empty or image.node.text in ("", _INJECTED):
                    line = image.line if image else container.line
                    why = "it names no image; another program inserts one"
                    yield Note(Location(self._source, line).place(user), why)
                else:
                    yield self._read_image(image, user)
        for volume in pod.find("volumes").items:
            reference = volume.find("image").fields.get("reference")
            if reference and reference.node.text:
                yield self._read_image(reference, f"{label} volume {_name(volume)}")

    def _read_image(self, field: Field, user: str) -> ListedImage:
        return read_image(field.node.text or "", Location(self._source, field.line), user)

    def _scan(self, node: Node, label: str, path: tuple[str, ...]) -> Iterator[ListedImage | Note]:
        for name, field in node.fields.items():
            if name in _SKIPPED_FIELDS:
                continue
            below = (*path, f".{name}" if path else name)
            if name == "image":
                yield from self._guess(field, f"{label} field {''.join(below)[-_MAX_NAME:]}")
            yield from self._scan(field.node, label, below)
        for number, item in enumerate(node.items):
            yield from self._scan(item, label, (*path, f"[{number}]"))

    def _guess(self, field: Field, user: str) -> Iterator[ListedImage | Note]:
        location = Location(self._source, field.line)
        value = field.node.find("reference") if field.node.fields else field.node
        text = value.text or ""
        if len(text) > MAX_LENGTH:
            return
        if _is_plausible(text):
            yield read_image(text, location, user, is_guess=True)
        elif "{{" in text or "$" in text:
            yield Note(location.place(user), f"{text[:300]!r} is replaced by another program")
        elif field.node.find("repository").text:
            why = "the image is written in parts (repository, tag); write it into a list"
            yield Note(location.place(user), why)


def _name(node: Node) -> str:
    return (node.find("name").text or "without a name")[:_MAX_NAME]


def _is_plausible(text: str) -> bool:
    bare = text.strip()
    if bare.lower() in _OTHER_VALUES or bare.isdecimal() or bare.endswith(_FILE_SUFFIXES):
        return False
    try:
        check_image(bare)
    except InvalidInput:
        return False
    return True
