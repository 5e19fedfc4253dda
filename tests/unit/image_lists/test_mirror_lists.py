"""The lists of other programs that mirror images are read, or said to be what they are."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.compose import read_compose
from registry.image_lists.detection import find_images
from registry.image_lists.results import ListedImage, Note

DIGEST = f"sha256:{64 * '0'}"

ZARF = """\
kind: ZarfPackageConfig
metadata: {name: games}
components:
- name: base
  charts: [{name: a}]
  images:
  - ghcr.io/zarf-dev/doom-game:0.0.1
  - "###ZARF_PKG_TMPL_IMAGE###:1"
  imageArchives: [{path: a.tar, images: [team/inside:2]}]
- name: other
  import: {path: ../dos-games}
- name: quiet
  manifests: [{name: b, files: [c.yaml]}]
"""

HAULER = """\
apiVersion: content.hauler.cattle.io/v1
kind: Images
metadata:
  name: set
  annotations: {hauler.dev/registry: registry.lan}
spec:
  images:
  - name: busybox
    platform: linux/amd64
  - name: team/app:1
  - name: ghcr.io/a/b:2
---
apiVersion: content.hauler.cattle.io/v1alpha1
kind: Charts
metadata: {name: more}
spec:
  charts:
  - name: rancher
    repoURL: https://releases.rancher.com
---
apiVersion: content.hauler.cattle.io/v1
kind: Files
spec: {files: [{path: https://get.rke2.io}]}
"""

SKOPEO = f"""\
registry.example.com:
  images:
    busybox: []
    redis:
    - "1.0"
    - {DIGEST}
  images-by-tag-regex:
    nginx: ^1\\.13$
  tls-verify: true
docker.io:
  images: {{team/app: [latest], all: }}
"""


@pytest.mark.parametrize(
    ("text", "images", "notes"),
    [
        (
            ZARF,
            {
                "ghcr.io/zarf-dev/doom-game:0.0.1": "7 ZarfPackageConfig/games component base",
                "team/inside:2": "9 ZarfPackageConfig/games component base",
            },
            {
                "8 ZarfPackageConfig/games component base": "replaced by another program",
                "11 ZarfPackageConfig/games component other": "name its zarf.yaml too",
                "13 ZarfPackageConfig/games component quiet": "zarf dev find-images",
            },
        ),
        (
            (
                "apiVersion: zarf.dev/v1beta1\nkind: ZarfPackageConfig\ncomponents:\n"
                "- images:\n  - {name: a/b:1, source: registry}"
            ),
            {"a/b:1": "5 ZarfPackageConfig component"},
            {},
        ),
        (
            "kind: ZarfInitConfig\ncomponents: [{images: [a:1]}]",
            {"a:1": "2 ZarfInitConfig component"},
            {},
        ),
        (
            (
                "kind: ZarfPackageConfig\ncomponents:\n- images: [a:1]\n"
                "  charts: [{name: a, url: 'oci://ghcr.io/a/b'}]\n  repos:\n  - https://example.com/a"
            ),
            {"a:1": "3 ZarfPackageConfig component"},
            {
                "4 ZarfPackageConfig component": "it is no image",
                "6 ZarfPackageConfig component": "it is no image",
            },
        ),
        (
            HAULER,
            {
                "registry.lan/busybox": "8 Images/set",
                "registry.lan/team/app:1": "10 Images/set",
                "ghcr.io/a/b:2": "11 Images/set",
            },
            {
                "18 Charts/more chart rancher": "render it first: helm template",
                "21 Files": "it is not read",
            },
        ),
        (
            (
                "apiVersion: content.hauler.cattle.io/v1alpha1\nkind: Images\nspec:\n"
                "  images: [{name: nginx}]"
            ),
            {"nginx": "4 Images"},
            {},
        ),
        (
            (
                "apiVersion: collection.hauler.cattle.io/v1\nkind: ThickCharts\nspec:\n"
                "  charts: [{name: a}]"
            ),
            {},
            {"4 ThickCharts chart a": "helm template"},
        ),
        (
            SKOPEO,
            {
                "registry.example.com/redis:1.0": "5",
                f"registry.example.com/redis@{DIGEST}": "6",
                "docker.io/team/app:latest": "11",
            },
            {
                "3 registry.example.com/busybox": "all its tags are wanted",
                "8 registry.example.com/nginx": "its tags are chosen by a pattern",
                "11 docker.io/all": "all its tags are wanted",
            },
        ),
        (
            "quay.io: {images-by-semver: {a/b: '>= 1'}}",
            {},
            {"1 quay.io/a/b": "chosen by a version"},
        ),
        ("localhost:5000: {images: {a: ['1']}}", {"localhost:5000/a:1": "1"}, {}),
        (
            (
                "version: 1\nsync:\n- {source: 'busybox:1', target: 'r/b:1', type: image}\n"
                "- {source: a/b, target: r/c, type: repository}"
            ),
            {"busybox:1": "3 sync"},
            {"4 sync a/b": "not one image"},
        ),
        (
            (
                "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v1alpha2\nmirror:\n"
                "  additionalImages: [{name: a/b:1}]\n  operators: [{catalog: c}]"
            ),
            {"a/b:1": "4 ImageSetConfiguration"},
            {"5 ImageSetConfiguration operators": "finds its images in a catalog"},
        ),
    ],
)
def test_list_of_another_program_is_read(
    text: str, images: dict[str, str], notes: dict[str, str]
) -> None:
    """The images have their lines and are no guesses; what other programs find is noted."""
    found = find_images(text.encode(), "l.yaml")
    assert [ListedImage(image, f"l.yaml:{place}") for image, place in images.items()] == [
        *found.images
    ]
    assert list(notes) == [each.place.removeprefix("l.yaml:") for each in found.notes]
    for why, note in zip(notes.values(), found.notes, strict=True):
        assert isinstance(note, Note)
        assert why in note.why


@pytest.mark.parametrize(
    "text",
    [
        "quay.io: {images: {a/b: []}}",
        "quay.io: {images-by-semver: {a/b: '>= 1'}}",
        "version: 1\nsync:\n- {source: a/b, target: r/c, type: repository}",
    ],
)
def test_images_that_only_the_registry_knows_are_unknown(text: str) -> None:
    """The list needs images, and it does not say which: nobody can say that none is missing."""
    (note,) = find_images(text.encode(), "l.yaml").notes
    assert note.is_unknown


@pytest.mark.parametrize(
    "text",
    [
        "kind: ZarfPackageConfig\ncomponents: [{images: [Not An Image]}]",
        "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec: {images: [{name: ''}]}",
        "quay.io: {images: {Upper: ['1']}}",
        "quay.io: {images: {a: ['a b']}}",
    ],
)
def test_what_is_no_image_is_refused(text: str) -> None:
    """A list with something else in place of an image is refused, as other lists are."""
    with pytest.raises(ListInvalid, match=r"l\.yaml:\d: "):
        find_images(text.encode(), "l.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "images: {a: [b]}",
        "quay.io: {images: {a: [b]}, other: 1}",
        "quay.io: {images: {a: [b]}}\nx: 1",
        "sync: [{source: a}]",
        "sync: {source: a, target: b}",
        "apiVersion: example.io/v1\nkind: Zarf\ncomponents: [{images: ['a:1']}]",
    ],
)
def test_other_documents_are_no_lists(text: str) -> None:
    """A document that only resembles such a list names no image for sure."""
    assert all(each.is_guess for each in find_images(text.encode(), "l.yaml").images)


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("web:\n  image: nginx:1\n  links: [db]\ndb:\n  image: redis", ["nginx:1", "redis"]),
        ("version: '2'\nvolumes: {a: {}}\nx-a: {image: no}\nweb: {image: nginx}", ["nginx"]),
        ("web: {build: .}\ndb: {image: 'redis:$TAG'}", ["redis:7"]),
        ("web: {image: a}\nother: {extends: {service: web}}", ["a"]),
    ],
)
def test_compose_file_without_services_is_of_version_1(text: str, images: list[str]) -> None:
    """The services of version 1 are at the top of the file."""
    found = read_compose(text, "docker-compose.yml", {"TAG": "7"})
    assert images == [each.image for each in found.images]
    assert not any(each.is_guess for each in found.images)


def test_version_1_is_known_by_its_text() -> None:
    """Under any name, a file with nothing but services is a compose file."""
    text = b"web:\n  image: nginx:$TAG\n  ports: [80]\n"
    found = find_images(text, "old.yml", variables={"TAG": "1"})
    assert found.images == (ListedImage("nginx:1", "old.yml:2 service web"),)
