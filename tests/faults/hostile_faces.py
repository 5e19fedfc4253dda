"""The faces of a hostile upstream: a row for each.

To add one: add a row, and look whether the mirror answers in time; if it tries for as long as a
client waits, the row is slow.
"""

import gzip
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from tests.fakes.raw_server import RawRequest, write_answer
from tests.fakes.upstream.images import INDEX
from tests.faults.hostile_registry import (
    A_MANIFEST,
    IMAGE,
    JSON,
    LAYER,
    Face,
    as_challenge,
    as_fields,
    as_manifest,
    as_referrers,
    as_tags,
    as_token,
    describe,
    endless,
    head,
    name_of,
    of_status,
    on_manifest,
    to,
)
from tests.harness.planted import PROXY_PASSWORD

HEADS = [
    on_manifest("no HTTP", b"hello\r\n\r\n"),
    on_manifest("nothing", b""),
    on_manifest("half a head", b"HTTP/1.1 200 OK\r\nContent-Le"),
    on_manifest("status 99", b"HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n"),
    on_manifest("status 999", b"HTTP/1.1 999 High\r\nContent-Length: 0\r\n\r\n"),
    on_manifest("status abc", b"HTTP/1.1 abc\r\n\r\n"),
    on_manifest("HTTP/0.9", IMAGE),
    on_manifest("HTTP/2.0", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    on_manifest("no colon", b"HTTP/1.1 200 OK\r\nnothing here\r\nContent-Length: 0\r\n\r\n"),
    on_manifest("NUL in a header", write_answer(IMAGE, A_MANIFEST, "X: a\0b")),
    on_manifest("folded header", write_answer(IMAGE, A_MANIFEST, "X: a\r\n b")),
    on_manifest("header of 90 KiB", write_answer(IMAGE, A_MANIFEST, f"X: {'a' * 90_000}")),
    on_manifest("endless header", endless(b"HTTP/1.1 200 OK\r\nX: ", b"a")),
    on_manifest("endless headers", endless(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n")),
    on_manifest("interim answers", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    on_manifest("early hints", endless(b"", b"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n")),
    on_manifest("50 interim answers", b"HTTP/1.1 102 On\r\n\r\n" * 50 + write_answer(IMAGE)),
    on_manifest(
        "switching", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    on_manifest("negative length", write_answer(IMAGE, A_MANIFEST, length=-5)),
    on_manifest("length in words", write_answer(IMAGE, A_MANIFEST, length="many")),
    on_manifest("two lengths", write_answer(IMAGE, A_MANIFEST, "Content-Length: 3")),
    on_manifest("length of 2^63", write_answer(IMAGE, A_MANIFEST, length=2**63)),
    on_manifest("length of 10^400", write_answer(IMAGE, A_MANIFEST, length=10**400)),
    on_manifest("length and chunks", write_answer(IMAGE, "Transfer-Encoding: chunked")),
    on_manifest("unknown coding", head("Transfer-Encoding: x") + IMAGE),
    on_manifest("chunked twice", head("Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n"),
    on_manifest("204 with a body", write_answer(IMAGE, status="204 No Content")),
    on_manifest("304", write_answer(b"", status="304 Not Modified")),
    on_manifest("HEAD with a body", write_answer(IMAGE, A_MANIFEST), method="HEAD"),
    on_manifest(
        "HEAD of another digest",
        write_answer(b"", f"Docker-Content-Digest: {name_of(b'x')}", A_MANIFEST),
        method="HEAD",
    ),
]
CHUNKED = head(A_MANIFEST, "Transfer-Encoding: chunked")
BODIES = [
    on_manifest("chunk of no number", CHUNKED + b"many\r\n"),
    on_manifest("chunk of 2^68", CHUNKED + b"ffffffffffffffff1\r\n"),
    on_manifest("negative chunk", CHUNKED + b"-5\r\nhello\r\n"),
    on_manifest("endless extension", endless(CHUNKED + b"5;a=", b"b")),
    on_manifest("chunks of a byte", endless(CHUNKED, b"1;" + b"a" * 1000 + b"\r\n{\r\n")),
    on_manifest("no last chunk", CHUNKED + b"5\r\nhello\r\n"),
    on_manifest("endless trailers", endless(CHUNKED + b"0\r\n", b"X: a\r\n")),
    on_manifest("too short", write_answer(IMAGE, A_MANIFEST, length=len(IMAGE) + 9)),
    on_manifest("too long", write_answer(IMAGE + b"more", A_MANIFEST, length=len(IMAGE))),
    on_manifest("endless", endless(head(A_MANIFEST), b"{")),
    on_manifest("endless chunks", endless(CHUNKED, b"3\r\n[[[\r\n")),
    on_manifest(
        "gzip bomb",
        write_answer(gzip.compress(bytes(64 << 20), 9), A_MANIFEST, "Content-Encoding: gzip"),
    ),
    on_manifest("damaged gzip", write_answer(b"\x1f\x8bno", A_MANIFEST, "Content-Encoding: gzip")),
    on_manifest("unknown encoding", write_answer(IMAGE, A_MANIFEST, "Content-Encoding: br")),
]
DOCUMENTS = [
    as_manifest("no JSON", b"<html>"),
    as_manifest("empty", b""),
    *(as_manifest(text, text.encode()) for text in ("null", "[]", "{}", "1", '"a"', "NaN")),
    as_manifest("deep", b"[" * 100_000),
    as_manifest("deep annotations", IMAGE[:-1] + b', "annotations": ' + b'{"a":' * 50_000),
    as_manifest("5 MiB", b" " * (5 << 20)),
    as_manifest("duplicate keys", IMAGE[:-1] + b', "layers": []}'),
    as_manifest("size NaN", IMAGE.replace(b'"size": 16384', b'"size": NaN')),
    as_manifest("size 10^400", IMAGE.replace(b'"size": 16384', b'"size": 1' + b"0" * 400)),
    as_manifest("size 10^5000", IMAGE.replace(b'"size": 16384', b'"size": 1' + b"0" * 5000)),
    as_fields("size 2^63", layers=[describe(LAYER, size=2**63)]),
    as_fields("size -1", layers=[describe(LAYER, size=-1)]),
    as_fields("size 1.5", layers=[describe(LAYER, size=1.5)]),
    as_manifest("no UTF-8", b'{"a": "\xff"}'),
    as_manifest("byte order mark", b"\xef\xbb\xbf" + IMAGE),
    as_fields("lone surrogate", annotations={"a": "\ud800"}),
    as_fields("schema 1", schemaVersion=1, mediaType=None),
    as_fields("another type", mediaType=INDEX["oci"]),
    as_fields("10,001 layers", layers=[describe(str(each).encode()) for each in range(10_001)]),
    as_fields("layers of text", layers=["a", 1, None]),
    as_fields("no digest", layers=[describe(LAYER, digest="../../etc/passwd")]),
    as_fields("subject of text", subject="a"),
    on_manifest(
        "wrong digest", write_answer(IMAGE, A_MANIFEST, f"Docker-Content-Digest: {name_of(b'x')}")
    ),
    on_manifest(
        "no digest in the header",
        write_answer(IMAGE, A_MANIFEST, f"Docker-Content-Digest: {'a' * 5000}"),
    ),
    on_manifest("type of 10 KB", write_answer(IMAGE, f"Content-Type: {'a/' * 5000}")),
]
LISTS = [
    *(
        as_tags(text[:20], text.encode())
        for text in ("{", '{"tags": {}}', '{"tags": [1, null, {}]}', '{"tags": "a"}', "[" * 90_000)
    ),
    as_tags("no tags", json.dumps({"tags": ["a\r\nX: y", "\ud800", "a" * 200, "ok"]}).encode()),
    as_tags("a tag of 3 MiB", json.dumps({"tags": ["a" * (3 << 20)]}).encode()),
    as_tags("5 MiB", json.dumps({"tags": ["a" * 90] * 60_000}).encode()),
    as_tags("a million values", b'{"tags": [' + b"{}," * 1_000_000 + b"{}]}"),
    as_tags("10^400 in a list", b'{"tags": [1e999]}'),
    as_tags("the same page", b'{"tags": ["a"]}', 'Link: </v2/x?n=1000>; rel="next"'),
    as_tags("60 KB of links", b'{"tags": ["a"]}', "Link: " + "<>;a=" * 12_000),
    as_tags("60 KB of blanks", b'{"tags": ["a"]}', "Link: <>;a" + " " * 60_000 + "b"),
    as_tags("a link elsewhere", b'{"tags": ["a"]}', "Link: <http://169.254.169.254/?a>; rel=next"),
    as_tags("a link of 60 KB", b'{"tags": ["a"]}', f'Link: <?{"a" * 60_000}>; rel="next"'),
    as_referrers("NaN", b'{"manifests": [{"size": NaN}]}'),
    as_referrers("1e999", b'{"manifests": [{"size": 1e999}]}'),
    as_referrers("deep", b'{"manifests": [' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"]}"),
    as_referrers("deeper", b'{"manifests": ' + b"[" * 90_000),
    as_referrers("texts", b'{"manifests": ["a", 1, null, []]}'),
    as_referrers("no digests", b'{"manifests": [{"digest": "../a"}, {"digest": 1}]}'),
    as_referrers("a web page", b"<html>", "Content-Type: text/html"),
    as_referrers("endless numbers", b'{"manifests": [{"size": ' + b"9" * 5000 + b"}]}"),
]


async def page_on(request: RawRequest) -> AsyncIterator[bytes]:
    """Yield a page of tags that nobody has seen, and a link to the next one."""
    last = urlsplit(request.target).query.rpartition("=")[2]
    number = int(last) if last.isdecimal() else 0
    tags = [f"t{number}-{each}" for each in range(1000)]
    link = f'Link: </v2/x?last={number + 1}>; rel="next"'
    yield write_answer(json.dumps({"tags": tags}).encode(), JSON, link)


LISTS.append(Face("tags: pages without end", "tags", page_on, is_slow=True))
TOKENS = [
    *(
        as_token(text[:20], write_answer(text.encode(), JSON))
        for text in ("<html>", "", "null", "[]", '{"token": 1}', '{"token": ""}', "[" * 90_000)
    ),
    as_token("10^400", write_answer(b'{"token": "a", "expires_in": 1' + b"0" * 400 + b"}")),
    as_token("NaN", write_answer(b'{"token": "a", "expires_in": NaN}')),
    as_token("a text that is NaN", write_answer(b'{"token": "a", "expires_in": "nan"}')),
    as_token("1e999", write_answer(b'{"token": "a", "expires_in": 1e999}')),
    as_token("the past", write_answer(b'{"token": "a", "expires_in": -5}')),
    as_token("a line break", write_answer(b'{"token": "a\\r\\nX: y"}')),
    as_token("no ASCII", write_answer(b'{"token": "\\u00e4"}')),
    as_token("900 KB", write_answer(b'{"token": "' + b"a" * 900_000 + b'"}')),
    as_token("endless", endless(head(JSON), b"a")),
    as_token("interim answers", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    as_token("a redirect", write_answer(b"", "Location: /", status="307 Temporary Redirect")),
    as_token("401", write_answer(b"", status="401 Unauthorized")),
    as_token("500", write_answer(b"", status="500 Wrong")),
    as_token("429", write_answer(b"", "Retry-After: 99999999999999999999", status="429 Slower")),
]
CHALLENGES = [
    as_challenge("none"),
    as_challenge("no realm", "Bearer"),
    *(
        as_challenge(f"realm {realm[:20]}", f'Bearer realm="{realm}"')
        for realm in (
            *("http://127.0.0.1:1/token", "ftp://127.0.0.1/", "token", "http://", "http://[", ""),
            *(
                "http://169.254.169.254/latest",
                f"http://{'a' * 64}.example/t",
                "http://xn--0.test/",
            ),
        )
    ),
    as_challenge("60 KB of quotes", 'Bearer realm="' + '\\"' * 30_000),
    as_challenge("60 KB of words", "a " * 30_000),
    as_challenge("60 KB of parameters", "Bearer " + "a=b," * 15_000),
    as_challenge("60 KB of blanks", "Bearer" + " " * 60_000 + "="),
    as_challenge("60 KB of scope", f'Bearer realm="http://127.0.0.1:1/",scope="{"a:b:c " * 9000}"'),
    as_challenge("Basic", 'Basic realm="a"'),
    as_challenge("Negotiate", "Negotiate"),
]
REDIRECTS = [
    to("nowhere", ""),
    to("no host", "http://"),
    to("link-local", "http://169.254.169.254/latest/meta-data", part="manifests"),
    to("a label of 64 letters", f"http://{'a' * 64}.example/x"),
    to("a name that IDNA refuses", "http://xn--0.example/x", part="manifests"),
    to("an empty label", "http://a..example/x"),
    to("port 99999", "http://127.0.0.1:99999/x"),
    to("a login", f"http://user:{PROXY_PASSWORD}@127.0.0.1/x"),
    to("a file", "file:///etc/passwd"),
    to("itself", "?again", part="manifests"),
    to("70 KB", f"http://127.0.0.1/{'a' * 70_000}", part="manifests"),
    to("no ASCII", "http://127.0.0.1/\u00e4", part="manifests"),
    to("brackets", "http://[::1/x"),
]
BLOBS = [
    Face("blob: longer", "blobs", write_answer(LAYER + b"more")),
    Face("blob: shorter", "blobs", write_answer(LAYER[:-9])),
    Face("blob: wrong bytes", "blobs", write_answer(LAYER[::-1]), is_slow=True),
    Face("blob: length of 2^63", "blobs", write_answer(LAYER, length=2**63), is_slow=True),
    Face("blob: HEAD of 2^63", "blobs", write_answer(b"", length=2**63), method="HEAD"),
    Face(
        "blob: another range",
        "blobs",
        write_answer(LAYER, "Content-Range: bytes 5-9/99", status="206 Partial Content"),
    ),
    Face(
        "blob: range of 2^64",
        "blobs",
        write_answer(
            LAYER, f"Content-Range: bytes 0-{2**64}/{2**64 + 1}", status="206 Partial Content"
        ),
    ),
    Face("blob: interim answers", "blobs", endless(b"", b"HTTP/1.1 100 Go\r\n\r\n"), is_slow=True),
    Face("blob: endless head", "blobs", endless(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"), is_slow=True),
    Face(
        "blob: endless extension",
        "blobs",
        endless(head("Transfer-Encoding: chunked") + b"5;a=", b"b"),
        is_slow=True,
    ),
    Face(
        "blob: chunks of a byte",
        "blobs",
        endless(head("Transfer-Encoding: chunked"), b"1;" + b"a" * 9000 + b"\r\nx\r\n"),
        is_slow=True,
    ),
    Face("blob: nothing", "blobs", b"", is_slow=True),
    Face(
        "blob: compressed",
        "blobs",
        write_answer(gzip.compress(LAYER), "Content-Encoding: gzip"),
        is_slow=True,
    ),
]
STATUSES = [
    *(of_status(each) for each in ("402 Pay", "418 Teapot", "451 No", "505 Old", "508 Loop")),
    *(of_status(each) for each in ("500 Wrong", "502 Gateway", "504 Late", "599 Odd", "600 Odder")),
    of_status("503 Busy", "Retry-After: " + "9" * 400),
    of_status("429 Slower", "Retry-After: -1"),
    of_status("429 Never", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT", part="tags"),
    of_status("200 OK", "RateLimit-Limit: " + "9" * 5000, "RateLimit-Remaining: x;w=-1"),
    of_status("416 Range", part="blobs", is_slow=True),
    of_status("500 Wrong", part="blobs", is_slow=True),
]
FACES = [*HEADS, *BODIES, *DOCUMENTS, *LISTS, *TOKENS, *CHALLENGES, *REDIRECTS, *BLOBS, *STATUSES]
