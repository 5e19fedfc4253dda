"""Texts that look like images, as operators get them: each is a guess with its file and line."""

import pytest

from registry.image_lists.compose import read_compose
from registry.image_lists.kubernetes import read_kubernetes
from registry.image_lists.results import Certainty, Findings, Note

LONGHORN = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: longhorn-manager}
spec:
  template:
    metadata:
      annotations:
        sidecar.istio.io/proxyImage: docker.io/istio/proxyv2:1.20
    spec:
      containers:
      - name: manager
        image: longhornio/longhorn-manager:v1.6.0
        imagePullPolicy: IfNotPresent
        command:
        - longhorn-manager
        - daemon
        - --engine-image
        - "longhornio/longhorn-engine:v1.6.0"
        - --support-bundle-manager-image=longhornio/support-bundle-kit:v0.0.33
        - --helper-image
        - busybox
        - --service-account
        - longhorn-service-account
        env:
        - name: CSI_ATTACHER_IMAGE
          value: "longhornio/csi-attacher"
        - name: POD_NAMESPACE
          value: longhorn
"""

STRIMZI = """\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - image: quay.io/strimzi/operator:0.38.0
        env:
        - name: STRIMZI_KAFKA_IMAGES
          value: |
            3.5.0=quay.io/strimzi/kafka:0.38.0-kafka-3.5.0

            3.6.0=quay.io/strimzi/kafka:0.38.0-kafka-3.6.0
"""

ROOK = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: rook-config}
data:
  ROOK_LOG_LEVEL: INFO
  ROOK_CSI_CEPH_IMAGE: quay.io/cephcsi/cephcsi:v3.9.0
  helperPod.yaml: |-
    apiVersion: v1
    kind: Pod
    spec:
      containers:
      - name: helper
        image: busybox
  sandbox.toml: |
    [plugins.cri]
    sandbox_image = "registry.k8s.io/pause"
  "9000": default/example-go:8080
"""

RESOURCE = """\
apiVersion: longhorn.io/v1beta2
kind: BackingImage
metadata: {name: disk}
spec:
  image: longhornio/engine:v1
  backupImage: "registry.lan:5000/backup"
  other: [{toolsImage: tools}, {note: "see quay.io/a/b:1.2, or not"}]
  parts: {registry: ghcr.io, repository: team/app, tag: 2.0}
  server: {image: team/server, tag: v3}
"""


def read(text: str) -> Findings:
    return read_kubernetes(text, "k.yaml")


def list_guesses(text: str) -> list[tuple[int, str]]:
    """Return the line and the text of each image that is only possible."""
    return [
        (int(each.place.split()[0].partition(":")[2]), each.image)
        for each in read(text).images
        if each.certainty is Certainty.POSSIBLE
    ]


@pytest.mark.parametrize(
    ("text", "guesses"),
    [
        (
            LONGHORN,
            [
                (8, "docker.io/istio/proxyv2:1.20"),
                (18, "longhornio/longhorn-engine:v1.6.0"),
                (19, "longhornio/support-bundle-kit:v0.0.33"),
                (21, "busybox"),
                (26, "longhornio/csi-attacher"),
            ],
        ),
        (
            STRIMZI,
            [
                (11, "quay.io/strimzi/kafka:0.38.0-kafka-3.5.0"),
                (13, "quay.io/strimzi/kafka:0.38.0-kafka-3.6.0"),
            ],
        ),
        (
            ROOK,
            [
                (6, "quay.io/cephcsi/cephcsi:v3.9.0"),
                (13, "busybox"),
                (16, "registry.k8s.io/pause"),
            ],
        ),
        (
            RESOURCE,
            [
                (6, "registry.lan:5000/backup"),
                (7, "tools"),
                (7, "quay.io/a/b:1.2"),
                (8, "ghcr.io/team/app:2.0"),
            ],
        ),
        (
            "kind: Pod\nspec:\n  containers:\n  - image: a\n    args: ['run', 'b:1.2', 'c:1', 'd']",
            [(5, "b:1.2")],
        ),
        ("kind: Secret\nstringData:\n  p: a/b:c1\n  i: quay.io/a/b:1", [(4, "quay.io/a/b:1")]),
        ("kind: Secret\ndata: {image: quay.io/a/b:1}", []),
        (
            (
                "kind: CustomResourceDefinition\nspec:\n  schema:\n    image:\n      default: a/b\n"
                "      description: such as c/d:1.2"
            ),
            [(5, "a/b")],
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- kind: ConfigMap\n  data: {i: a.io/b:1}",
            [(5, "a.io/b:1")],
        ),
        (
            (
                "kind: ConfigMap\nmetadata:\n  annotations:\n"
                '    kubectl.kubernetes.io/last-applied-configuration: \'{"image":"a/b:1"}\'\n'
                "data: {image: a/b:2}\nbinaryData: {image: a/b:3}"
            ),
            [(5, "a/b:2")],
        ),
        ('kind: ConfigMap\ndata:\n  a: "x\\nIMAGE=quay.io/a/b:1"', [(3, "quay.io/a/b:1")]),
        ("kind: ConfigMap\ndata:\n  a: >\n    image\n    quay.io/a/b:1", [(3, "quay.io/a/b:1")]),
        (
            "kind: Kustomization\nimages:\n- {name: nginx, newName: a.io/b, newTag: '2'}",
            [(3, "a.io/b:2")],
        ),
        (
            "kind: HelmRelease\nspec: {values: {image: {repository: a/b, tag: 1.2}}}",
            [(2, "a/b:1.2")],
        ),
        ("a:\n  image: b\n  tag: c\n", []),
        (
            "test:\n  image: {name: 'gcr.io/kaniko/executor:debug'}\n  services: [postgres:15]",
            [(3, "postgres:15")],
        ),
        (
            "on: push\njobs:\n  a:\n    container: node:18\n    steps: [{uses: 'docker://alpine'}]",
            [(4, "node:18"), (5, "alpine")],
        ),
    ],
)
def test_texts_that_look_like_images_are_guesses(text: str, guesses: list[tuple[int, str]]) -> None:
    """Arguments, variables, ConfigMaps and custom resources give guesses, each with its line."""
    assert guesses == list_guesses(text)


def test_likely_guesses_are_no_possible_ones() -> None:
    """A field `image` of a custom resource is a likely guess, with the tag that is beside it."""
    likely = [each for each in read(RESOURCE).images if each.certainty is Certainty.LIKELY]
    assert [each.image for each in likely] == ["longhornio/engine:v1", "team/server:v3"]
    assert [each.image for each in read("a:\n  image:\n    name: b:1").images] == ["b:1"]


@pytest.mark.parametrize(
    "parts",
    [
        "repository: team, name: app, tag: 1",
        "registry: '', repository: '', name: app, tag: 1",
        "registry: quay.io, name: app",
        "repository: team/app",
    ],
)
def test_image_in_unclear_parts_is_noted(parts: str) -> None:
    """Charts do not agree where a name beside a repository belongs, so nothing is guessed."""
    found = read(f"a: {{image: {{{parts}}}}}")
    assert found.images == ()
    assert found.notes[0].why.startswith("the image is written in parts")


def test_guess_has_its_place() -> None:
    """The place of a guess has the object and the path of the field."""
    found = read(STRIMZI).images[-1]
    path = "spec.template.spec.containers[0].env[0].value"
    assert found.place == f"k.yaml:13 Deployment field {path}"


@pytest.mark.parametrize(
    ("text", "guesses"),
    [
        ("services: {a: {image: b, environment: {HELPER_IMAGE: c}}}", ["c"]),
        ("services: {a: {image: b, command: [--runner, 'ghcr.io/c/d:1']}}", ["ghcr.io/c/d:1"]),
        ("services: {a: {build: {args: {BASE_IMAGE: 'c:1'}}}}", ["c:1"]),
        ("services: {a: {image: b, environment: ['IMAGE=c/d']}}", ["c/d"]),
        ("services: {a: {image: b, environment: ['IMAGE=c/d:$TAG']}}", []),
        ("services: {a: {image: b, pull_policy: build, build: .}}", []),
        ("services: {a: {image: b, ports: ['80:80'], extra_hosts: ['db:10.0.0.5']}}", []),
        ("services: {a: {image: b, volumes: ['./a/b:/c', 'data:/d'], links: ['db:db']}}", []),
    ],
)
def test_compose_files_have_guesses_too(text: str, guesses: list[str]) -> None:
    """Commands, variables and build arguments of a service give guesses."""
    images = read_compose(text, "c.yaml", {}).images
    assert guesses == [each.image for each in images if each.certainty is Certainty.POSSIBLE]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: [c]", "its kind is not known, and nothing in it looks like an image"),
        ("kind: Kustomization", "render it first: kustomize build ... | entrepot ..."),
        ("kind: HelmRelease", "render it first: helm template ... | entrepot ..."),
        (
            "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig",
            "helm template ... | entrepot ...",
        ),
        (
            "apiVersion: argoproj.io/v1alpha1\nkind: Application",
            "argocd app manifests ... | entrepot ...",
        ),
        ("apiVersion: skaffold/v4beta6\nkind: Config", "skaffold render | entrepot ..."),
        ("releases: [{name: a, chart: b/c}]", "helmfile template | entrepot ..."),
    ],
)
def test_what_is_no_object_yet_is_named(text: str, why: str) -> None:
    """What other programs make objects of is named, with the command that makes them."""
    (note,) = read(text).notes
    assert note.place.startswith("k.yaml:1 ")
    assert note.why.endswith(why)


@pytest.mark.parametrize("name", ["kustomization.yaml", "a/Kustomization", "Chart.yaml"])
def test_file_name_may_say_what_it_is(name: str) -> None:
    """A kustomization or a chart without a kind is known by the name of its file."""
    (note,) = read_kubernetes("resources: [a.yaml]", name).notes
    assert isinstance(note, Note)
    assert "it needs other files; render it first" in note.why
