"""Comparing the head of an answer with the request for bytes of a blob."""

from registry.errors import UpstreamFaulty
from registry.oci.byte_ranges import parse_content_range
from registry.upstream.blob_size import read_length
from registry.upstream.failures import RangeIgnored, WrongSize
from registry.upstream.request import Answer, is_compressed
from registry.upstream.wanted_bytes import WantedBytes


def check_answer(
    answer: Answer, wanted: WantedBytes, size: int | None
) -> tuple[int | None, bool | None]:
    """Prepare `wanted` for the body of an answer, whose blob has `size` bytes (None: not known).

    Returns the size that is known now, and whether the endpoint supports ranges (None: the answer
    does not show it).

    Raises:
        UpstreamFaulty: the body is not what was asked for.
        RangeIgnored: it is the whole blob, and only a range is of use.
        WrongSize: the blob has another size.
    """
    wanted.skip, wanted.is_longer = 0, False
    headers = answer.response.headers
    if answer.response.status_code == 206:
        found = parse_content_range(headers.get("content-range", ""))
        if found is None or found[0].start != wanted.offset:
            raise UpstreamFaulty(answer.origin, "sends another range than was asked for")
        return _check_size(answer, found[1], size), True
    length = read_length(headers)
    if is_compressed(headers) and (length is None or size not in (None, length)):
        raise UpstreamFaulty(answer.origin, "compresses content although asked not to")
    size = _check_size(answer, length, size)
    is_range_ignored = bool(wanted.offset) or wanted.stop != size
    if is_range_ignored and wanted.needs_range:
        raise RangeIgnored(answer.origin, "sends the whole blob instead of a range")
    if wanted.may_extend or wanted.stop is None:
        wanted.stop = size
    wanted.skip = wanted.offset
    wanted.is_longer = wanted.stop not in (None, size)
    return size, False if is_range_ignored else None


def _check_size(answer: Answer, found: int | None, size: int | None) -> int | None:
    if None not in (size, found) and found != size:
        raise WrongSize(answer.origin, f"has {found} bytes where the descriptor says {size}")
    return found if size is None else size
