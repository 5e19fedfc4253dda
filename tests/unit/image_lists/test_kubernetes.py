"""Laws of Kubernetes YAML: the images of its pods, and guesses elsewhere."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.kubernetes import read_kubernetes
from registry.image_lists.results import Certainty, Findings, ListedImage, Note

POD = """\
containers:
- name: app
  image: nginx:1.27
"""


def read(text: str) -> Findings:
    return read_kubernetes(text, "k.yaml")


def indent(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines())


def list_images(text: str) -> list[str]:
    return [each.image for each in read(text).images]


@pytest.mark.parametrize(
    ("api", "kind", "path"),
    [
        ("v1", "Pod", ["spec"]),
        ("v1", "PodTemplate", ["template", "spec"]),
        ("v1", "ReplicationController", ["spec", "template", "spec"]),
        ("apps/v1", "Deployment", ["spec", "template", "spec"]),
        ("extensions/v1beta1", "Deployment", ["spec", "template", "spec"]),
        ("apps/v1", "StatefulSet", ["spec", "template", "spec"]),
        ("apps/v1", "DaemonSet", ["spec", "template", "spec"]),
        ("apps/v1", "ReplicaSet", ["spec", "template", "spec"]),
        ("batch/v1", "Job", ["spec", "template", "spec"]),
        ("batch/v1", "CronJob", ["spec", "jobTemplate", "spec", "template", "spec"]),
    ],
)
def test_every_workload_is_read(api: str, kind: str, path: list[str]) -> None:
    """The containers of every kind are found, with their lines."""
    lines = [f"apiVersion: {api}", f"kind: {kind}", "metadata: {name: web}"]
    lines += [f"{'  ' * depth}{key}:" for depth, key in enumerate(path)]
    text = "\n".join(lines) + "\n" + indent(POD, 2 * len(path))
    place = f"k.yaml:{len(lines) + 3} {kind}/web container app"
    assert Findings((ListedImage("nginx:1.27", place),)) == read(text)


def test_every_part_of_a_pod_is_read() -> None:
    """Containers of all three kinds and image volumes are found."""
    text = """\
apiVersion: v1
kind: Pod
metadata: {generateName: web-, annotations: {image: not/this:1}}
spec:
  volumes:
  - name: model
    image: {reference: "quay.io/models/small:1", pullPolicy: IfNotPresent}
  - name: data
    emptyDir: {}
  initContainers:
  - {name: setup, image: "registry.lan:5000/setup"}
  containers:
  - name: app
    image: >-
      nginx:1.27
    env: [{name: image, value: "not/this:2"}]
  - image: redis
  ephemeralContainers:
  - {name: debug, image: busybox}
status:
  containerStatuses: [{name: app, image: not/this:3}]
"""
    assert (
        ListedImage("registry.lan:5000/setup", "k.yaml:11 Pod/web- init container setup"),
        ListedImage("nginx:1.27", "k.yaml:14 Pod/web- container app"),
        ListedImage("redis", "k.yaml:17 Pod/web- container without a name"),
        ListedImage("busybox", "k.yaml:19 Pod/web- ephemeral container debug"),
        ListedImage("quay.io/models/small:1", "k.yaml:7 Pod/web- volume model"),
        ListedImage(
            "not/this:1", "k.yaml:3 Pod/web- field metadata.annotations.image", Certainty.POSSIBLE
        ),
        ListedImage(
            "not/this:2",
            "k.yaml:16 Pod/web- field spec.containers[0].env[0].value",
            Certainty.POSSIBLE,
        ),
    ) == read(text).images


def test_lists_are_read() -> None:
    """Items of a list have its kind if they have none; lists may be nested, and may be JSON."""
    pod = '{"spec": {"containers": [{"image": "%s"}]}}'
    deployment = '{"spec": {"template": %s}}' % (pod % "b")
    inner = f'{{"apiVersion": "apps/v1", "kind": "DeploymentList", "items": [{deployment}]}}'
    named = pod.replace("{", '{"kind": "Pod", "apiVersion": "v1", ', 1) % "c"
    text = f'{{"apiVersion": "v1",\n"kind": "List",\n"items": [{inner},\n{named}]}}'
    assert list_images(text) == ["b", "c"]
    assert list_images(f'{{"apiVersion": "v1", "kind": "PodList", "items": [{pod % "a"}]}}') == [
        "a"
    ]


def test_anchors_are_found_where_they_are_used() -> None:
    """Two containers with one anchored image are two places."""
    text = "kind: Pod\nspec:\n  containers:\n  - image: &i a:1\n  - image: *i\n"
    assert [each.place.split()[0] for each in read(text).images] == ["k.yaml:4", "k.yaml:5"]


@pytest.mark.parametrize("image", ["", "null", "''", "~", "auto"])
def test_missing_image_is_noted(image: str) -> None:
    """An image that a webhook or an overlay will insert is not known, and gives a note."""
    text = (
        f"kind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n  - name: b\n    image: {image}"
    )
    why = "it names no image; another program inserts one"
    assert Findings((), (Note("k.yaml:6 Pod/a container b", why),)) == read(text)
    assert read(text).notes[0].is_unknown
    assert read(text.rpartition("\n")[0]).notes[0].place.split()[0] == "k.yaml:5"


@pytest.mark.parametrize(
    ("image", "why", "cure"),
    [
        ("{{ .Values.image }}", "as in a template", "helm template"),
        ("{{ .Values.image }}:{{ .Values.tag }}", "as in a template", "helm template"),
        ("Nginx:1.27", "is not an image", "registry/name:tag"),
        ("[nginx]", "no image", "registry/name:tag"),
    ],
)
def test_image_of_a_pod_is_one_or_refused(image: str, why: str, cure: str) -> None:
    """A text that the kubelet could not pull, or a template, is refused with its line."""
    with pytest.raises(ListInvalid) as error:
        read(f"kind: Pod\nspec:\n  containers:\n  - name: app\n    image: {image}\n")
    assert error.value.line == 5
    assert why in error.value.why
    assert cure in error.value.cure


def test_braces_in_texts_are_no_template() -> None:
    """Braces in texts of alerts, dashboards and workflows are not templates."""
    text = "kind: Pod\nmetadata: {annotations: {a: '{{ $labels.pod }}'}}\nspec:\n" + indent(POD, 2)
    assert list_images(text) == ["nginx:1.27"]


@pytest.mark.parametrize(
    "text",
    [
        "kind: CustomResourceDefinition\nspec: {example: {image: nginx:1.27}}",
        "kind: Rollout\nmetadata: {labels: {image: nginx}}",
        "kind: Secret\ndata: {image: bmdpbng6MS4yNw==}",
        "kind: Widget\nstatus: {image: nginx}",
        "",
        "---\n---\n# nothing\n",
        "just a text",
        "kind: Pod\nspec: nginx",
        "kind: Pod",
        "kind: List\nitems: null",
        "kind: [Pod]\nmetadata: 1",
    ],
)
def test_nothing_is_found(text: str) -> None:
    """Labels, `status`, the data of secrets and documents without pods name no images."""
    assert Findings() == read(text)


def test_images_elsewhere_are_guesses() -> None:
    """In other kinds, and in any other YAML, a field `image` gives a guess."""
    text = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - image: quay.io/a/b:1
      volumes:
      - image: {reference: quay.io/c/d:1}
---
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
spec: {tasks: [{image: busybox}]}
---
build:
  image: ruby:3.3
"""
    assert (
        ListedImage("quay.io/a/b:1", f"{place(8)}.containers[0].image", Certainty.LIKELY),
        ListedImage("quay.io/c/d:1", f"{place(10)}.volumes[0].image", Certainty.LIKELY),
        ListedImage("busybox", "k.yaml:14 Job field spec.tasks[0].image", Certainty.LIKELY),
        ListedImage("ruby:3.3", "k.yaml:17 document field build.image", Certainty.LIKELY),
    ) == read(text).images


def place(line: int) -> str:
    return f"k.yaml:{line} Rollout/web field spec.template.spec"


@pytest.mark.parametrize(
    "value",
    [
        *("true", "'yes'", "3", "''", "null", "1.5.", "Auto", "logo.png", "/a/b.svg", "a/b.qcow2"),
        *("https://a.b/c.png", "data:image/png;base64,AA==", "an image", "Nginx", "a" * 5000),
        *("'nginx:'", "[Nginx]", "{a: b}", "{type: string, description: the image}"),
    ],
)
def test_implausible_images_are_not_guessed(value: str) -> None:
    """Pictures, images of disks, switches and prose in a field `image` are not guesses."""
    assert Findings() == read(f"kind: Widget\nspec:\n  image: {value}\n")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("'{{inputs.parameters.image}}'", "'{{inputs.parameters.image}}' is replaced by"),
        ("$(params.image)", "'$(params.image)' is replaced by another program"),
        (
            "{repository: nginx, tag: ''}",
            "the image is written in parts (repository, tag); write it",
        ),
    ],
)
def test_unknown_images_are_noted(value: str, why: str) -> None:
    """An image that another program fills in, or that is written in parts, gives a note."""
    (note,) = read(f"kind: Widget\nmetadata: {{name: w}}\nspec:\n  image: {value}\n").notes
    assert note.place == "k.yaml:4 Widget/w field spec.image"
    assert note.why.startswith(why)


def test_what_must_be_rendered_is_noted() -> None:
    """A kustomization or a chart's release gives a note that it has to be rendered."""
    (note,) = read("kind: Kustomization\nresources: [a.yaml]").notes
    assert note.why.endswith("kustomize build ... | entrepot ...")


def test_places_are_one_printable_line() -> None:
    """Names in a file are printed as one line of limited length."""
    text = 'kind: Pod\nmetadata: {name: "a\\n\\e[2J"}\nspec:\n  containers: [{image: a, name: %s}]'
    (wanted,) = read(text % ("b" * 5000)).images
    assert f"k.yaml:4 Pod/a\ufffd\ufffd[2J container {'b' * 253}" == wanted.place


@pytest.mark.parametrize(
    ("image", "why", "cure"),
    [
        ('"{{ .Values.image }}:{{ .Values.tag }}"', "is a template", "helm template"),
        ("${REGISTRY}/app:1", "contains a variable", "envsubst"),
    ],
)
def test_an_unknown_image_does_not_spoil_the_rest(image: str, why: str, cure: str) -> None:
    """What another program replaces is noted as unknown; the other images are read."""
    found = read(
        f"kind: Pod\nspec:\n  containers:\n  - name: a\n    image: {image}\n"
        "  - name: b\n    image: redis:7\n"
    )
    (note,) = found.notes
    assert [each.image for each in found.images] == ["redis:7"]
    assert note.is_unknown
    assert note.place == "k.yaml:5 Pod container a"
    assert why in note.why
    assert cure in note.why


@pytest.mark.parametrize("text", ["- redis\n- ghcr.io/a/b\n", '["redis", "ghcr.io/a/b"]'])
def test_a_list_of_texts_is_a_list_of_images(text: str) -> None:
    """A document that is a sequence of texts names images, as a plain list does."""
    found = read(text)
    assert [(each.image, each.certainty) for each in found.images] == [
        ("redis", Certainty.NAMED),
        ("ghcr.io/a/b", Certainty.NAMED),
    ]


@pytest.mark.parametrize(
    "text", ["- hosts: all\n  roles: [common]\n", "- redis\n- [a]\n", "- image\n- 1"]
)
def test_another_document_is_not_silent(text: str) -> None:
    """A document of a kind that is not known, with nothing that looks like an image, is noted."""
    (note,) = read(text).notes
    assert "its kind is not known" in note.why
