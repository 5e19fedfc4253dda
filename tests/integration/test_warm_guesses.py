"""Texts that look like images in `entrepot images warm`: shown always, taken with `--guesses`."""

import json
from pathlib import Path

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.images import is_here, is_warm

OPERATOR = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator}
spec:
  template:
    spec:
      containers:
      - name: operator
        image: operator/manager:1
        args:
        - --engine-image=operator/engine:1
        - --nosuch-image=operator/nosuch:1
"""
ENGINE = "docker.io/operator/engine:1"
FIELD = "Deployment/operator field spec.template.spec.containers[0].args"


@pytest.fixture
def operator(tmp_path: Path) -> str:
    """A file with one image that is certain, and two that only look like images."""
    path = tmp_path / "operator.yaml"
    path.write_text(OPERATOR)
    return str(path)


def test_guesses_are_shown_and_not_taken(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, operator: str
) -> None:
    """Each guess is on stderr with file and line; only what is certain is downloaded."""
    manager = shared_hub.add_image("operator/manager", "1", [b"manager"])
    engine = shared_hub.add_image("operator/engine", "1", [b"shown"])

    done = shared_mirror.run("images", "warm", "-f", operator)
    explained = shared_mirror.run("images", "warm", "-f", operator, "--explain")
    facts = json.loads(shared_mirror.run("images", "warm", "-f", operator, "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert is_warm(shared_mirror, manager)
    assert not is_here(shared_mirror, [engine.digest])
    assert f"{operator}:11 {FIELD}[0]: operator/engine:1 looks like an image" in done.stderr
    assert "2 texts look like images and are not taken; --guesses takes them too" in done.stderr
    assert "(a guess, taken with --guesses)" in explained.stdout
    assert ENGINE in explained.stdout
    assert [each["image"] for each in facts["images"]] == ["docker.io/operator/manager:1"]
    assert facts["guesses"][0] == {
        "image": ENGINE,
        "wanted_by": [f"{operator}:11 {FIELD}[0]"],
        "guess": True,
    }


def test_guesses_are_taken_if_asked_for(
    shared_mirror: MirrorProcess, shared_hub: FakeUpstream, operator: str
) -> None:
    """With `--guesses` they are downloaded; one that does not exist is no failure."""
    manager = shared_hub.add_image("operator/manager", "1", [b"manager"])
    engine = shared_hub.add_image("operator/engine", "1", [b"taken"])

    done = shared_mirror.run("images", "warm", "-f", operator, "--guesses")

    assert done.returncode == 0, done.stderr
    assert is_warm(shared_mirror, manager, engine)
    assert "operator/nosuch:1 only looks like an image, and was not found" in done.stderr
    assert "--guesses takes" not in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "config.yaml",
            "kind: ConfigMap\ndata: {image: a/b:1}",
            "take the texts that look like images with --guesses",
        ),
        ("Dockerfile", "FROM a:$TARGETARCH", "the lines before this one say what to do"),
        ("values.yaml", "replicas: 1", "its kind is not known, and nothing in it looks like"),
        ("docker-bake.hcl", "", "it is a Docker Bake file, which is not read; name the"),
        ("chart.tgz", "\x1f\x8b\xff", "it is a packed Helm chart, which is not read; render"),
        ("empty.txt", "", "check whether the program that wrote it failed"),
    ],
)
def test_file_without_a_certain_image_is_explained(
    shared_mirror: MirrorProcess, tmp_path: Path, name: str, text: str, words: str
) -> None:
    """The message says why the file names no image, and what to do."""
    (tmp_path / name).write_bytes(text.encode("latin-1"))
    done = shared_mirror.run("images", "warm", "-f", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
