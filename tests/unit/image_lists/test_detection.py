"""Laws of sources: the kind of a file, its encoding, and one entry for each image."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.detection import MAX_SIZE, Kind, decode, detect, find_images
from registry.image_lists.results import Certainty, Entry, Findings, ListedImage, merge
from registry.oci.digest import Digest
from registry.oci.names import Repository, Tag
from registry.oci.registries import Registries

DIGEST = Digest.of(b"")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("Dockerfile", Kind.DOCKERFILE), ("a/b/Dockerfile.dev", Kind.DOCKERFILE)),
        *((f"Dockerfile.{each}", Kind.DOCKERFILE) for each in ("go", "py", "js", "sh", "image")),
        ("Containerfile.container", Kind.DOCKERFILE),
        *(("app.Dockerfile", Kind.DOCKERFILE), ("Containerfile", Kind.DOCKERFILE)),
        *(("images.txt", Kind.LIST), ("k3s-images.TXT", Kind.LIST)),
        *(("compose.yaml", Kind.COMPOSE), ("compose.prod.yml", Kind.COMPOSE)),
        *(("docker-compose.yml", Kind.COMPOSE), ("x/docker-compose.dev.yaml", Kind.COMPOSE)),
        *(("values.yaml", Kind.KUBERNETES), ("dockerfile-job.yaml", Kind.KUBERNETES)),
        *(("pods.json", Kind.KUBERNETES), ("compose.d/a.yml", Kind.KUBERNETES)),
        *(("-", Kind.LIST), ("images", Kind.LIST), ("compose", Kind.LIST)),
    ],
)
def test_name_decides(name: str, kind: Kind) -> None:
    """The name of a file decides its kind, where only one kind has such names."""
    assert kind == detect(name, "")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("services:\n  web:\n    image: nginx\n", Kind.COMPOSE),
        ("# c\nname: x\nx-a: &a {}\n'services': {a: *a}", Kind.COMPOSE),
        ('{"name": "x", "services": {"a": {}}}', Kind.COMPOSE),
        ("x: &s {a: {}}\nservices: *s", Kind.COMPOSE),
        ("apiVersion: v1\nkind: Service\n", Kind.KUBERNETES),
        ("---\n---\n# c\n---\nmetadata: {a: {services: {}}}\nkind: Pod", Kind.KUBERNETES),
        ("\ufeff---\r\nkind: Pod\r\n", Kind.KUBERNETES),
        ('{\n    "apiVersion": "v1",\n    "items": []}', Kind.KUBERNETES),
        ("services: [postgres]\ntest: {image: ruby}", Kind.KUBERNETES),
        ("{{- if .Values.on }}\napiVersion: v1\nkind: Pod\n{{- end }}", Kind.KUBERNETES),
        ("apiVersion: v1\nkind: Pod\n{{- if .Values.on }}", Kind.KUBERNETES),
        ("FROM nginx", Kind.DOCKERFILE),
        ("# syntax=a\n\n  # FROM\n\targ A=b\nfrom $A", Kind.DOCKERFILE),
        ("\ufeff\r\nFROM\tnginx", Kind.DOCKERFILE),
        ("", Kind.LIST),
        ("# nothing", Kind.LIST),
        ("nginx:1.27", Kind.LIST),
        ("nginx\nredis:7\n\nfrom/x", Kind.LIST),
        ("registry:5000/a:1 # FROM there\nlocalhost/b # kind: of", Kind.LIST),
        ("- nginx\n- redis", Kind.LIST),
        ("web:\n  image: nginx\n  ports: [80]\ndb: {build: ., links: [web]}", Kind.COMPOSE),
        ("job:\n  image: ruby\n  script: [make]", Kind.KUBERNETES),
        ("web: {image: nginx}\nvalues: {a: 1}", Kind.KUBERNETES),
        ("web: {image: {repository: nginx, tag: 1}}", Kind.KUBERNETES),
        ("web: {image: ''}", Kind.KUBERNETES),
        ("[" * 1000, Kind.LIST),
    ],
)
def test_text_decides_where_the_name_does_not(text: str, kind: Kind) -> None:
    """If the name of a file does not show its kind, its text does."""
    assert kind == detect("-", text)
    assert (kind if kind == Kind.COMPOSE else Kind.KUBERNETES) == detect("a.yaml", text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_decoded(encoding: str) -> None:
    """UTF-8, with and without its mark, and UTF-16 as PowerShell writes it are read."""
    assert decode("a # ê\r\n".encode(encoding), "a.txt") == "a # ê\r\n"


@pytest.mark.parametrize("data", [b"a\xff", b"\xff\xfea", b"\x1f\x8b"])
def test_other_bytes_are_refused(data: bytes) -> None:
    """A file that is not text is refused."""
    with pytest.raises(ListInvalid, match="not a text in UTF-8"):
        find_images(data, "a.txt")


def test_large_file_is_refused() -> None:
    """A file that is larger than the limit is refused."""
    with pytest.raises(ListInvalid, match="more than 32 MiB"):
        find_images(b"#" * (MAX_SIZE + 1), "a.txt")


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("docker-bake.hcl", "", "a Docker Bake file"),
        ("x/docker-bake.override.json", "{}", "a Docker Bake file"),
        (
            "-",
            'variable "A" {}\ntarget "app" {\n  dockerfile = "Dockerfile"\n}',
            "a Docker Bake file",
        ),
        ("other.hcl", "", "an HCL file"),
        ("web.nomad", "", "a Nomad job"),
        ("main.tf", "", "a Terraform file"),
        ("Earthfile", "VERSION 0.8", "an Earthfile"),
        ("Jenkinsfile", "", "a Jenkinsfile"),
        ("web.container", "[Container]\nImage=nginx:1", "a Quadlet unit"),
        ("web", "[Unit]\nDescription=Web\n[Container]\nImage=nginx:1", "a Quadlet unit"),
        ("chart-1.0.tgz", "\x1f\x8b", "a packed Helm chart"),
        ("images.tar.zst", "(\xb5", "an archive"),
        ("Makefile", "", "a program"),
        ("pull.sh", "docker pull nginx", "a program"),
        ("main.jsonnet", "{}", "a program"),
    ],
)
def test_kind_that_is_not_read_is_named(name: str, text: str, what: str) -> None:
    """A file of a kind that is not read is refused by the name of its kind, with what to do."""
    with pytest.raises(ListInvalid) as error:
        find_images(text.encode("latin-1"), name)
    assert error.value.why.startswith(f"it is {what}")
    assert error.value.why.endswith(", which is not read")
    assert error.value.source == ("stdin" if name == "-" else name)
    assert find_images(b"a:1", name, kind=Kind.LIST).images[0].image == "a:1"


def test_comments_in_json_are_no_mistake() -> None:
    """The file of a development container may have comments, and its lines are counted right."""
    text = b"""// For format details, see https://aka.ms/devcontainer.json
{
\t/* The image,
\t   or a build. */
\t"image": "mcr.microsoft.com/devcontainers/base:ubuntu", // "not": this
\t"features": {
\t\t"ghcr.io/devcontainers/features/go:1": {},
\t},
}
"""
    found = find_images(text, ".devcontainer/devcontainer.json").images
    assert [each.image for each in found] == [
        "mcr.microsoft.com/devcontainers/base:ubuntu",
        "ghcr.io/devcontainers/features/go:1",
    ]
    assert [each.place.partition("json")[2][:3] for each in found] == [":5 ", ":7 "]


def test_every_kind_is_read() -> None:
    """Each kind has its reader, which gets the variables or arguments."""
    compose = b"services: {a: {image: 'a:$TAG'}}"
    assert find_images(compose, "-", variables={"TAG": "1"}).images[0].image == "a:1"
    assert find_images(compose, "-", variables={"TAG": "1"}).images[0].place == "stdin:1 service a"
    dockerfile = b"ARG TAG\nFROM a:$TAG"
    assert find_images(dockerfile, "-", arguments={"TAG": "2"}).images[0].image == "a:2"
    assert find_images(b"kind: X\nimage: a", "-").images[0].is_guess
    assert Findings((ListedImage("kind", "x.yaml:1"),)) == find_images(
        b"kind", "x.yaml", kind=Kind.LIST
    )


def test_one_image_is_one_entry() -> None:
    """All spellings of an image give one entry; it is a guess only if every place is a guess."""
    wanted = [
        ListedImage("b", "1", Certainty.LIKELY),
        ListedImage("nginx", "2", Certainty.LIKELY),
        ListedImage("docker.io/library/nginx:latest", "3"),
        ListedImage("nginx", "2"),
        ListedImage(f"a:1@{DIGEST}", "4"),
        ListedImage(f"docker.io/library/a@{DIGEST}", "5"),
        ListedImage("quay.io/library/nginx", "6"),
    ]
    hub = [Repository("docker.io", f"library/{name}") for name in ("b", "nginx", "a")]
    assert (
        Entry("b", hub[0], Tag("latest"), ("1",), Certainty.LIKELY),
        Entry("nginx", hub[1], Tag("latest"), ("2", "3"), Certainty.NAMED),
        Entry(f"a:1@{DIGEST}", hub[2], DIGEST, ("4", "5"), Certainty.NAMED),
        Entry(
            *("quay.io/library/nginx", Repository("quay.io", "library/nginx"), Tag("latest")),
            *(("6",), Certainty.NAMED),
        ),
    ) == merge(wanted, Registries("docker.io"))


def test_default_registry_completes_names() -> None:
    """A short name belongs to the default registry."""
    images = [ListedImage("a/b", "1"), ListedImage("quay.io/a/b", "2")]
    (entry,) = merge(images, Registries("quay.io"))
    assert Repository("quay.io", "a/b") == entry.repository


def test_an_alias_means_its_registry() -> None:
    """A file may name a registry by an alias; both names are one image."""
    registries = Registries.of("docker.io", {"docker.io": ["index.docker.io"]})
    (entry,) = merge([ListedImage("index.docker.io/b", "1"), ListedImage("b", "2")], registries)
    assert Repository("docker.io", "library/b") == entry.repository
    assert entry.places == ("1", "2")
