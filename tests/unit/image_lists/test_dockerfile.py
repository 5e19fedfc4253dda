"""Laws of Dockerfiles: the images that a build pulls, and not the stages that it builds."""

import pytest

from registry.errors import ListInvalid
from registry.image_lists.dockerfile import read_dockerfile
from registry.image_lists.results import Certainty, Findings, ListedImage

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
        ListedImage("child/needs:1", "Dockerfile:34 COPY --from", Certainty.LIKELY),
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
        ("FROM a AS amd64\nFROM b AS arm64\nFROM $TARGETARCH", ["a", "b"]),
        ("FROM a AS linux\nFROM ${TARGETPLATFORM%/*}", ["a"]),
        ("ARG A=1.2.3-rc1\nFROM a:${A%-*}", ["a:1.2.3"]),
        ("ARG A=1.2.3-rc1\nFROM a:${A%%.*}", ["a:1"]),
        ("ARG A=v1.2\nFROM a:${A#v}", ["a:1.2"]),
        ("ARG A=quay.io/team/app:2\nFROM b:${A##*:}", ["b:2"]),
        ("ARG A=1+b\nFROM a:${A/+/-}", ["a:1-b"]),
        ("ARG A=1+b+c\nFROM a:${A//+/-}", ["a:1-b-c"]),
        ("ARG A=x\nFROM a:${A:+1}${B:+2}${B+3}${A+4}", ["a:14"]),
        ("ARG A=\nFROM a:1${A:+2}${A+3}${A-4}${A:-5}", ["a:135"]),
        ('ARG A=\'1.2\'\nFROM "a":"${A?}"', ["a:1.2"]),
        ("ARG A=\\$b\nFROM a:1${A#?}", ["a:1b"]),
        ("# escape=`\nARG A=`$b\nFROM a:1${A#?}", ["a:1b"]),
        ("ARG A=a:1 B=${A%:*}\nFROM ${B}:${A#*:}", ["a:1"]),
        ("FROM a:${TARGETPLATFORM:+1}", ["a:1"]),
    ],
)
def test_file_is_read_as_docker_does(text: str, images: list[str]) -> None:
    """Each difficult case of the grammar is read as Docker reads it."""
    assert images == list_images(text)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("ARG X=${TARGETPLATFORM#linux/amd64}\nFROM a:$X", 2, "TARGETPLATFORM is known only in a"),
        ("FROM b\nFROM $TARGETARCH", 2, "which image $TARGETARCH is: TARGETARCH is known only"),
        ("FROM b AS build\nFROM $TARGETARCH", 2, "TARGETARCH is known only in a build; give"),
        ("FROM a:$TARGETARCH", 1, "with --build-arg, or write the images into a list"),
        ("FROM a${TARGETVARIANT:+-}b", 1, "TARGETVARIANT is known only in a build"),
        ("ARG A=${TARGETARCH/amd64/x86}\nFROM a:$A$TARGETOS", 2, "TARGETARCH is known only in a"),
        ("ARG A=1\nFROM a:${A%$BUILDARCH}", 2, "BUILDARCH is known only in a build"),
        ("ARG A=${TARGETPLATFORM#linux/}\nFROM a:${A:-b}", 2, "TARGETPLATFORM is known only in"),
        ("FROM a:$TARGETSTAGE", 1, "TARGETSTAGE is known only in a build"),
        ("ARG A\nFROM $A", 2, "$A needs a value for A; write a default (ARG A=...) or give it"),
        ("FROM b\nFROM $A", 2, "$A needs a value for A; write a default (ARG A=...)"),
        ("ARG A=$B\nFROM $A", 2, "$A needs a value for B; write a default (ARG B=...)"),
        ("FROM a:${B}", 1, "a:${B} needs a value for B; write a default"),
        ("FROM a:${B#x}", 1, "a:${B#x} needs a value for B"),
        ("FROM a:${B:?which}", 1, "B has no value (which)"),
        ("ARG B=\nFROM a:${B:?}", 2, "B has no value"),
        ("FROM a:${B^^}", 1, "${B^^} is not understood"),
        ("FROM a:${B:#x}", 1, "${B:#x} is not understood"),
        ("FROM a:${B", 1, "a:${B is: ${B is not understood"),
        ("ARG A=1\nFROM a:${A/1}", 2, "a:${A/1} has no '/' at its end"),
        ("ARG A=1\nFROM a:${A#\\1}", 2, "\\1 in a pattern is not understood"),
        ("FROM a:'1", 1, "a:'1 has a quote that is not closed"),
        ("ARG A=aaaaaaaaaa\n" + "ARG A=$A$A\n" * 40 + "FROM $A", 42, "more than 4096 characters"),
        ("FROM " + "${A-" * 11 + "}" * 11, 1, "more than 10 substitutions inside each other"),
        ("FROM a:${B:?\x1b}", 1, "B has no value (\ufffd)"),
        ("FROM a\nCOPY --from=$B / /", 2, "Docker replaces no variable in COPY --from $B; name"),
        ("FROM a\nRUN --mount=from=b:$C x", 2, "no variable in RUN --mount b:$C; name a stage"),
    ],
)
def test_what_is_not_known_is_noted_and_the_rest_is_read(text: str, line: int, why: str) -> None:
    """An image that only a build knows gives a note with its line, and hides no other image."""
    found = read(f"{text}\nFROM the/rest:1\n")
    (note,) = found.notes
    assert note.place.partition(" ")[0] == f"Dockerfile:{line}"
    assert why in note.why
    assert note.is_unknown
    assert found.images[-1].image == "the/rest:1"


def test_the_option_that_gives_a_value_is_named() -> None:
    """Docker gives the value of the option to a declared argument, and to no other."""
    (declared,) = read("ARG V\nFROM nginx:$V\n").notes
    (other,) = read("FROM nginx:$V\n").notes
    assert declared.why.endswith("(ARG V=...) or give it with --build-arg V=...")
    assert other.why.endswith("write a default (ARG V=...)")


def test_platform_can_be_given() -> None:
    """A build argument replaces an automatic value, which no ARG needs to declare."""
    text = "ARG X=${TARGETPLATFORM#linux/amd64}\nARG B=${X:+arm:1}\nFROM ${B:-amd:1}"
    assert list_images(text, TARGETPLATFORM="linux/amd64") == ["amd:1"]
    assert list_images(text, TARGETPLATFORM="linux/arm64") == ["arm:1"]
    assert list_images(text) == []


@pytest.mark.parametrize(
    ("text", "line", "why", "cure"),
    [
        ("", 0, "there is no FROM", "give a Dockerfile"),
        ("# only\nARG A=b", 0, "there is no FROM", "give a Dockerfile"),
        ("FROM A", 1, "'A' is not an image", "registry/name:tag"),
        ("FROM 'a:$B'", 1, "'a:$B' contains a variable", "envsubst"),
        ("FROM", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM a # why", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM a b c", 1, "FROM is not followed by one image", "FROM image [AS name]"),
        ("FROM {{ base }}", 1, "FROM is a template", "render"),
        ("FROM a\nCOPY --from= / /", 2, "no image", "registry/name:tag"),
        ("FROM a\n\nRUN \\\n cat <<EOF\nx", 3, "<<EOF has no end", "EOF on a line of its own"),
    ],
)
def test_other_files_are_refused(text: str, line: int, why: str, cure: str) -> None:
    """A file that Docker refuses, or that is a template, is refused with its line."""
    with pytest.raises(ListInvalid) as error:
        read(text)
    assert line == error.value.line
    assert why in error.value.why
    assert cure in error.value.cure


def test_stages_are_counted() -> None:
    """More than a thousand named stages are refused."""
    with pytest.raises(ListInvalid, match="Dockerfile:1001: more than 1000 stages"):
        read("".join(f"FROM a AS b{n}\n" for n in range(1001)))
