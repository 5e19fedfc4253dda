"""Laws of the answers to requests for blobs that need no file."""

from unittest.mock import AsyncMock, Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from registry.api.blobs import answer_blob
from registry.api.middleware import Notes
from registry.errors import BlobUnknown
from registry.mirror.blobs import Blobs
from registry.oci.digest import Digest
from registry.oci.names import Repository

HERE, DIGEST = Repository("docker.io", "library/a"), Digest.of(b"of another repository")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_is_looked_up_of_what_a_repository_does_not_have(method: str) -> None:
    """By the time that it takes, a client could find out what others have pulled."""
    blobs = Mock(spec=Blobs)
    unknown = BlobUnknown(str(HERE), str(DIGEST))
    blobs.stat, blobs.get = AsyncMock(side_effect=unknown), AsyncMock(side_effect=unknown)
    blobs.is_here = AsyncMock(return_value=True)

    with pytest.raises(BlobUnknown):
        await answer_blob(make_mocked_request(method, "/v2/"), Notes("", ""), blobs, HERE, DIGEST)

    blobs.is_here.assert_not_awaited()
