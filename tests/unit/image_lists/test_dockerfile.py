"""Laws of Dockerfiles: the images that a build pulls, and not the stages that it builds."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.dockerfile import read_dockerfile
from registry.image_lists.results import Findings, ListedImage

REAL = r"""# syntax=docker/dockerfile:1.7
# check=skip=all
# An ordinary comment
ARG GO=1.23
ARG BASE="gcr.io/distroless/static:${TAG:-nonroot}" \
    # in the middle
    EXTRA

FROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS Build
ARG GO=9
RUN --mount=type=cache,target=/root/.cache \
    --mount=type=bind,from=registry.lan:5000/tools:2,source=/bin,target=/tools \

    go build --mount=from=not/this <<-EOF && echo "<<NOT"
	FROM not/this
	EOF
RUN <<A cat; <<'B C' cat
FROM not/this
A
COPY --from=not/this a b
B C
COPY <<EOF /etc/x
FROM not/this
EOF

FROM build AS test
FROM ${BASE}
COPY --chown=1:1 --from=build /a /a
COPY --from=0 /b /b
COPY --from=LATER /c /c
copy --link --from=nginx:1.27 /etc/nginx /etc/nginx
ADD --from="quay.io/a/b@sha256:DIGEST" /d /d
COPY from=not/this --from=not/this /
ONBUILD COPY --from=child/needs:1 /e /e
RUN ["sh", "-c", "cat <<EOF"]
from scratch as later
""".replace("DIGEST", 64 * "a")


def read(text: str, **arguments: str) -> Findings:
    return read_dockerfile(text, "Dockerfile", arguments)


def list_images(text: str, **arguments: str) -> list[str]:
    return [each.image for each in read(text, **arguments).images]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_real_file_is_read(end: str) -> None:
    """Images of FROM, COPY, ADD, mounts and the syntax are found; no stage and no heredoc is."""
    assert (
        ListedImage("docker/dockerfile:1.7", "Dockerfile:1 syntax"),
        ListedImage("golang:1.23-alpine", "Dockerfile:9 FROM"),
        ListedImage("registry.lan:5000/tools:2", "Dockerfile:11 RUN --mount"),
        ListedImage("gcr.io/distroless/static:nonroot", "Dockerfile:27 FROM"),
        ListedImage("nginx:1.27", "Dockerfile:31 COPY --from"),
        ListedImage(f"quay.io/a/b@sha256:{64 * 'a'}", "Dockerfile:32 ADD --from"),
        ListedImage("child/needs:1", "Dockerfile:34 COPY --from", is_guess=True),
    ) == read(REAL.replace("\n", end)).images


def test_arguments_win_over_defaults() -> None:
    """A build argument replaces a default, if the file declares the argument."""
    text = "ARG TAG=1\nARG NAME\nFROM ${NAME:-a}:$TAG"
    assert list_images(text) == ["a:1"]
    assert list_images(text, TAG="2", NAME="b") == ["b:2"]
    assert list_images("FROM c:${TAG:-3}", TAG="2") == ["c:3"]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM a", ["a"]),
        ("\ufefffrom a", ["a"]),
        ("\n \n\tFROM\ta\tas\tb\t", ["a"]),
        ("FROM a AS a\nFROM a\nFROM A", ["a"]),
        ("FROM later\nFROM a AS later", ["later", "a"]),
        ("FROM scratch", []),
        ("FROM 'a:1'", ["a:1"]),
        ('FROM "a:1"', ["a:1"]),
        ("ARG A=b\nFROM a:$A$B", ["a:b"]),
        ("ARG A='$b'\nARG B='c'\nFROM a:$B", ["a:c"]),
        ("ARG A=b\nARG A\nFROM a:$A", ["a:b"]),
        ("ARG A=b B=c$A\nFROM a:$B", ["a:cb"]),
        ("FROM a\nARG B=b\nFROM c:${B:-d}", ["a", "c:d"]),
        ("FROM a\\\n:1", ["a:1"]),
        ("FROM \\\n# why\n\n a:1", ["a:1"]),
        ("FROM a\\", ["a"]),
        ("# escape=`\nFROM a`\n:1\nCOPY --from=b C:\\\nCOPY --from=c D:\\", ["a:1", "b", "c"]),
        ("#!/usr/bin/env x\n# Syntax = a/b:1 more\nFROM c", ["a/b:1", "c"]),
        ("# comment\n# syntax=a/b:1\nFROM c", ["c"]),
        ("\n# syntax=a/b:1\nFROM c", ["c"]),
        ("# escape=x\n# syntax=a/b:1\nFROM c\\\n:1", ["a/b:1", "c:1"]),
        ("FROM a\nRUN echo \\\\\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nRUN echo $((1<<2)) <<<x << y\nCOPY --from=b / /", ["a", "b"]),
        ('FROM a\nRUN echo "x <<EOF y"\nCOPY --from=b / /', ["a", "b"]),
        ("FROM a\nRUN echo it's <<EOF\n'\nEOF\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nENV X=<<EOF\nLABEL <<EOF\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nRUN 3<<EOF\nFROM x\n EOF\nEOF\nCOPY --from=b / /", ["a", "b"]),
        ("FROM a\nONBUILD RUN <<EOF\nFROM x\nEOF\nFROM b", ["a", "b"]),
        ("FROM a\nRUN --mount=from=b,target=/x --mount=type=tmpfs true", ["a", "b"]),
        ("FROM a\nCOPY --from=7 / /\nUNKNOWN --from=b\nRUN --from=b", ["a"]),
        ("FROM a AS x-amd64\nFROM x-${TARGETARCH}", ["a"]),
        ("ARG TARGETARCH=arm64\nFROM a:$TARGETARCH", ["a:arm64"]),
    ],
)
def test_file_is_read_as_docker_does(text: str, images: list[str]) -> None:
    """Each difficult case of the grammar is read as Docker reads it."""
    assert images == list_images(text)


@pytest.mark.parametrize(
    ("text", "line", "why", "cure"),
    [
        ("", 0, "there is no FROM", "give a Dockerfile"),
        ("# only\nARG A=b", 0, "there is no FROM", "give a Dockerfile"),
        ("ARG A\nFROM $A", 2, "$A needs a value for A", "ARG A=..."),
        ("FROM b\nFROM $A", 2, "$A needs a value for A", "ARG A=..."),
        ("FROM b\nFROM $TARGETARCH", 2, "$TARGETARCH depends on the platform", "into a list"),
        ("FROM a:${B}", 1, "a:${B} needs a value for B", "build argument"),
        ("FROM a:${B:?which}", 1, "variable B has no value: which", "give B a value"),
        ("FROM a:${B#x}", 1, "${B#x} is not understood", "${B:-default}"),
        ("FROM a:${B", 1, "'${' without its '}'", "close the brace"),
        ("FROM a:$TARGETARCH", 1, "a:$TARGETARCH depends on the platform", "into a list"),
        ("FROM A", 1, "'A' is not an image", "registry/name:tag"),
        ("FROM", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM a # why", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM a b c", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM {{ base }}", 1, "FROM is a template", "render"),
        ("FROM a\nCOPY --from=$B / /", 2, "replaces no variable in COPY --from $B", "name a stage"),
        ("FROM a\nCOPY --from= / /", 2, "no image", "registry/name:tag"),
        ("FROM a\n\nRUN \\\n cat <<EOF\nx", 3, "<<EOF has no end", "EOF on a line of its own"),
        ("ARG A=aaaaaaaaaa\n" + "ARG A=$A$A\n" * 40, 10, "more than 4096 characters", "itself"),
    ],
)
def test_other_files_are_refused(text: str, line: int, why: str, cure: str) -> None:
    """A text that Docker refuses, or that only a builder knows, is refused with its line."""
    with pytest.raises(ListInvalid) as error:
        read(text)
    assert line == error.value.line
    assert why in error.value.why
    assert cure in error.value.cure


def test_stages_are_counted() -> None:
    """More than a thousand named stages are refused."""
    with pytest.raises(ListInvalid, match="Dockerfile:1001: more than 1000 stages"):
        read("".join(f"FROM a AS b{n}\n" for n in range(1001)))
