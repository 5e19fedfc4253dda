"""Which texts look like images, by the name of a value and by the form of the text."""

import pytest

from registry.image_lists.image_texts import find_image_texts

DIGEST = f"sha256:{64 * 'a'}"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("backupImage", "busybox", ["busybox"]),
        ("IMAGE_NAME", "busybox", ["busybox"]),
        ("images", "nginx, a/b c:1", ["a/b", "c:1"]),
        ("imagePullPolicy", "always", []),
        ("imagePullSecret", "regcred", []),
        ("image.tag", "v1", []),
        ("imageRepository", "quay.io/a/b", []),
        ("image", "true", []),
        ("image", "logo.png", []),
        ("image", "{{ .Values.image }}", []),
        ("a", "see image: docs", []),
        ("a", "image: docs", ["docs"]),
        ("a", "- image: docs  # why", ["docs"]),
        ("a", '{"image":"a","tag":"b"}', ["a"]),
        ("a", "--image a/b", ["a/b"]),
        ("a", "use --image to choose", []),
        ("a", "export IMAGE=a:1; run", ["a:1"]),
        ("a", "docker://alpine oci://a.io/b:1 https://a.io/b:1", ["alpine"]),
        ("a", f"a/b@{DIGEST} and c@{DIGEST}", [f"a/b@{DIGEST}", f"c@{DIGEST}"]),
        (
            "a",
            "(localhost/a:1) [registry:5000/b/c:d], 10.0.0.1:5000/e:f.",
            ["localhost/a:1", "registry:5000/b/c:d", "10.0.0.1:5000/e:f"],
        ),
        ("a", "node:18-alpine x:latest y:v1.2 z:1", ["node:18-alpine", "x:latest", "y:v1.2"]),
        (
            "a",
            "team/app:16 team/app:main kube-system/dns:53 a/b:8080 get/list:pods",
            ["team/app:16", "team/app:main"],
        ),
        ("a", "kubernetes.io/os:linux node-role.kubernetes.io/master:NoSchedule", []),
        ("a", "12:30 db:5432 10.0.0.1:80 memory:1.5Gi version:1.2 host:10.0.0.5 a:b:c", []),
        ("a", "/usr/lib:1.2 ./a/b:1.2 c:/d/e x/main.go:12 x/y.go:123 me@a.io", []),
        ("a", "quay.io/a/b:{{ .Tag }} quay.io/a/b:v1-${X} {{ .R }}/a/b:1.2 $R/a/b:1.2", []),
        ("a", "1/2:3 16/9:1 system:serviceaccount:a:b arn:aws:iam::1:role/x", []),
    ],
)
def test_text_is_judged_by_its_name_and_form(name: str, text: str, found: list[str]) -> None:
    """A name with "image" makes a word an image; without it, registry or tag have to show it."""
    assert found == [each for _, each in find_image_texts(text, name)]


@pytest.mark.parametrize(
    "text", ["a-", "a:", "a/", "image: ", "--image ", "image=", "'image'", "a ", "image:  \t", "@a"]
)
def test_long_lines_take_no_long_time(text: str) -> None:
    """A line of any length is searched in a time that grows with the length, not its square."""
    assert len(list(find_image_texts(text * 50_000, "image"))) <= 1
