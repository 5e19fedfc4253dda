"""Kubernetes YAML: what the kubelet will pull for the pods that it describes.

What a pod is, is known for the kinds of Kubernetes itself. Of any other document (custom
resources, pipelines of a CI) only fields named `image` are known to be often what they say:
their values are guesses.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from registry.errors import InvalidInput
from registry.image_lists.interpolation import MAX_LENGTH
from registry.image_lists.location import Location
from registry.image_lists.results import Findings, Note, Wanted, check_image, want
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
_MAX_NAME = 253  # of a Kubernetes object; places must not repeat what is longer a million times
_CONTAINERS: Mapping[str, str] = MappingProxyType(
    {
        "initContainers": "init container",
        "containers": "container",
        "ephemeralContainers": "ephemeral container",
    }
)
# Their texts are for programs, and those of a schema are about images.
_OPAQUE = frozenset({"ConfigMap", "Secret", "CustomResourceDefinition"})
_ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "Kustomization": "kustomize build ... | entrepot ...",
        "HelmRelease": "helm template ... | entrepot ...",
        "HelmChart": "helm template ... | entrepot ...",
    }
)
_UNWANTED = frozenset({"annotations", "labels", "status"})
# Istio's own word for "my webhook will put an image here".
_INJECTED = "auto"
_WORDS = frozenset({"auto", "default", "false", "no", "none", "off", "on", "true", "yes"})
_PICTURES = (".avif", ".gif", ".ico", ".jpeg", ".jpg", ".png", ".svg", ".webp")
_DISKS = (".bin", ".img", ".iso", ".qcow2", ".raw", ".vhd", ".vmdk")


def read_kubernetes(text: str, source: str) -> Findings:
    """Read all documents: every container and image volume of pods, guesses of anything else.

    Raises:
        ListInvalid: not YAML, a template that was not rendered, or a pod's image that is none.
    """
    reading = _Reading(source)
    every = (
        found
        for document in read_documents(text, source)
        for found in reading.read(document, "", "")
    )
    return Findings.sort(every)


class _Reading:
    def __init__(self, source: str) -> None:
        self._source = source

    def read(self, node: Node, api: str, kind: str) -> Iterator[Wanted | Note]:
        """Read an object; `api` and `kind` are its list's word for what says neither."""
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
        elif kind not in _OPAQUE:
            if kind in _ELSEWHERE:
                why = f"it refers to more than is written here; read the result: {_ELSEWHERE[kind]}"
                yield Note(Location(self._source, node.line).place(label), why)
            yield from self._scan(node, label, ())

    def _read_pod(self, pod: Node, label: str) -> Iterator[Wanted | Note]:
        for group, word in _CONTAINERS.items():
            for container in pod.find(group).items:
                who = f"{label} {word} {_name(container)}"
                image = container.fields.get("image")
                if image is None or image.node.is_empty or image.node.text in ("", _INJECTED):
                    line = image.line if image else container.line
                    why = "no image is written here; something else puts it in"
                    yield Note(Location(self._source, line).place(who), why)
                else:
                    yield self._want(image, who)
        for volume in pod.find("volumes").items:
            reference = volume.find("image").fields.get("reference")
            if reference and reference.node.text:
                yield self._want(reference, f"{label} volume {_name(volume)}")

    def _want(self, field: Field, who: str) -> Wanted:
        return want(field.node.text or "", Location(self._source, field.line), who)

    def _scan(self, node: Node, label: str, path: tuple[str, ...]) -> Iterator[Wanted | Note]:
        for name, field in node.fields.items():
            if name in _UNWANTED:
                continue
            below = (*path, f".{name}" if path else name)
            if name == "image":
                yield from self._guess(field, f"{label} field {''.join(below)[-_MAX_NAME:]}")
            yield from self._scan(field.node, label, below)
        for number, item in enumerate(node.items):
            yield from self._scan(item, label, (*path, f"[{number}]"))

    def _guess(self, field: Field, who: str) -> Iterator[Wanted | Note]:
        location = Location(self._source, field.line)
        value = field.node.find("reference") if field.node.fields else field.node
        text = value.text or ""
        if len(text) > MAX_LENGTH:
            return
        if _is_plausible(text):
            yield want(text, location, who, is_guess=True)
        elif "{{" in text or "$" in text:
            yield Note(location.place(who), f"{text[:300]!r} is filled in by something else")
        elif field.node.find("repository").text:
            why = "an image in parts (repository, tag); write it into a list as one"
            yield Note(location.place(who), why)


def _name(node: Node) -> str:
    return (node.find("name").text or "without a name")[:_MAX_NAME]


def _is_plausible(text: str) -> bool:
    bare = text.strip()
    if bare.lower() in _WORDS or bare.isdecimal() or bare.endswith(_PICTURES + _DISKS):
        return False
    try:
        check_image(bare)
    except InvalidInput:
        return False
    return True
