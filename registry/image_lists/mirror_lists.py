"""Lists of images for other programs that carry or mirror images, in YAML.

They are Zarf packages, manifests of Hauler, lists of `skopeo sync` and of regsync, and the image
set of oc-mirror. Parts of them that other programs make images of are noted.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from registry.image_lists.location import Location
from registry.image_lists.results import ListedImage, Note, make_note, note_unknown, read_or_note
from registry.image_lists.yaml_tree import Field, Node

ListReader = Callable[[Node, str, str], Iterator[ListedImage | Note]]

_MAX_NAME = 253
_ZARF_VARIABLE = "###ZARF"
_HAULER_GROUP = "hauler.cattle.io"
_HAULER_REGISTRY = "hauler.dev/registry"
_SKOPEO_LISTS: Mapping[str, str] = MappingProxyType(
    {
        "images-by-tag-regex": "its tags are chosen by a pattern; write the tags under images",
        "images-by-semver": "its tags are chosen by a version; write the tags under images",
    }
)
_SKOPEO_FIELDS = frozenset({"images", *_SKOPEO_LISTS, "credentials", "tls-verify", "cert-dir"})
_OPENSHIFT_PARTS = ("platform", "operators", "helm")


def find_list_reader(node: Node, api: str, kind: str) -> ListReader | None:
    """Return the reader for a document that is such a list; None if it is none."""
    if kind.startswith("Zarf") and api.partition("/")[0] in ("", "zarf.dev"):
        return _read_zarf
    if api.partition("/")[0].endswith(_HAULER_GROUP):
        return _read_hauler
    if kind == "ImageSetConfiguration":
        return _read_image_set
    if kind or api:
        return None
    if _is_for_skopeo(node):
        return _read_skopeo
    return _read_regsync if _is_for_regsync(node) else None


def _read_zarf(node: Node, source: str, label: str) -> Iterator[ListedImage | Note]:
    """Read a Zarf package: Zarf carries the images of these lists, and no others."""
    for component in (*node.find("components").items, node.find("component")):
        name = component.find("name").text or ""
        user = f"{label} component {name[:_MAX_NAME]}".rstrip()
        archives = component.find("imageArchives").items
        lists = [component.find("images"), *(each.find("images") for each in archives)]
        for item in (item for each in lists for item in each.items):
            yield from _read_item(item, source, user)
        if imported := component.fields.get("import"):
            why = "the package that it imports is not read; name its zarf.yaml too"
            yield make_note(Location(source, imported.line), user, why)
        for part in ("charts", "manifests"):
            if (field := component.fields.get(part)) and not any(each.items for each in lists):
                why = f"it has {part} and lists no images; zarf dev find-images prints them"
                yield make_note(Location(source, field.line), user, why)
        charts = component.find("charts").items
        others = [each for each in charts if (each.find("url").text or "").startswith("oci:")]
        for item in (*others, *component.find("repos").items):
            why = "Zarf stores it too, but it is no image; it is not read"
            yield make_note(Location(source, item.line), user, why)


def _read_hauler(node: Node, source: str, label: str) -> Iterator[ListedImage | Note]:
    """Read a manifest of Hauler; an annotation has the registry of names that have none."""
    registry = node.find("metadata", "annotations", _HAULER_REGISTRY).text or ""
    for item in node.find("spec", "images").items:
        yield from _read_item(item, source, label, registry)
    for item in node.find("spec", "charts").items:
        why = "the images of a chart are not listed; render it first: helm template ..."
        yield make_note(Location(source, item.line), f"{label} chart {_name(item)}", why)
    if not {"images", "charts"} & node.find("spec").fields.keys():
        why = "Hauler stores something else than images of it; it is not read"
        yield make_note(Location(source, node.line), label, why)


def _read_image_set(node: Node, source: str, label: str) -> Iterator[ListedImage | Note]:
    """Read an image set of oc-mirror, whose releases and operators only their catalogs list."""
    mirror = node.find("mirror")
    for item in mirror.find("additionalImages").items:
        yield from _read_item(item, source, label)
    for part in _OPENSHIFT_PARTS:
        if field := mirror.fields.get(part):
            why = "oc-mirror finds its images in a catalog; oc mirror --dry-run lists them"
            yield make_note(Location(source, field.line), f"{label} {part}", why)


def _is_for_skopeo(node: Node) -> bool:
    values = [each.node.fields.keys() for each in node.fields.values()]
    lists = {"images", *_SKOPEO_LISTS}
    return bool(values) and all(keys & lists and keys <= _SKOPEO_FIELDS for keys in values)


def _read_skopeo(node: Node, source: str, _: str) -> Iterator[ListedImage | Note]:
    """Read a list of `skopeo sync --src yaml`: repositories by registry, with tags or digests."""
    for registry, lists in node.fields.items():
        for repository, field in lists.node.find("images").fields.items():
            yield from _read_tags(f"{registry}/{repository}", field, source)
        for which, why in _SKOPEO_LISTS.items():
            for repository, field in lists.node.find(which).fields.items():
                user = f"{registry}/{repository}"[:_MAX_NAME]
                yield make_note(Location(source, field.line), user, why, is_unknown=True)


def _read_tags(name: str, field: Field, source: str) -> Iterator[ListedImage | Note]:
    if not field.node.items:
        why = "all its tags are wanted, and only the registry knows them; write the tags"
        yield make_note(Location(source, field.line), name[:_MAX_NAME], why, is_unknown=True)
    for item in field.node.items:
        tag = item.text or ""
        image = f"{name}{'@' if ':' in tag else ':'}{tag}"
        yield read_or_note(image, Location(source, item.line))


def _is_for_regsync(node: Node) -> bool:
    items = node.find("sync").items
    return bool(items) and all({"source", "target"} <= each.fields.keys() for each in items)


def _read_regsync(node: Node, source: str, _: str) -> Iterator[ListedImage | Note]:
    """Read a configuration of regsync, which copies images or whole repositories."""
    for item in node.find("sync").items:
        field = item.fields["source"]
        if item.find("type").text == "image":
            yield from _read_item(field.node, source, "sync")
        else:
            user = f"sync {(field.node.text or '')[:_MAX_NAME]}"
            why = "it is not one image, and only the registry knows the tags; write the images"
            yield make_note(Location(source, field.line), user, why, is_unknown=True)


def _read_item(
    item: Node, source: str, user: str, registry: str = ""
) -> Iterator[ListedImage | Note]:
    """Read an image that is a text, or a mapping with a `name`."""
    location = Location(source, item.line)
    text = item.text or item.find("name").text or ""
    if _ZARF_VARIABLE in text or "{{" in text:
        cure = "write it into a list"
        error = location.refuse_unknown(f"{text[:300]!r} is replaced by another program", cure)
        yield note_unknown(error, location, user)
        return
    first = text.partition("/")[0] if "/" in text else ""
    if registry and not {".", ":"} & {*first} and first != "localhost":
        text = f"{registry}/{text}"
    yield read_or_note(text, location, user)


def _name(node: Node) -> str:
    return (node.find("name").text or "without a name")[:_MAX_NAME]
