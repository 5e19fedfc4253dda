"""A scriptable upstream registry: token service, registry and content host on loopback sockets.

    with FakeUpstream() as hub:
        image = hub.add_image("library/nginx", "latest", [b"layer"])
        hub.faults.add(Fault("cdn", Cut(3)))
        ...
        assert hub.journal.blob_fetches(image.layers[0]) == 2, str(hub.journal)

Every control method is synchronous and may be called from any thread.
"""

from tests.fakes.upstream.faces import FACES, ROBOT, put_on, take_off
from tests.fakes.upstream.faults import (
    Cut,
    Delay,
    DropDigestHeader,
    Endless,
    ExpireUrl,
    Fault,
    Faults,
    Gzip,
    Hang,
    IgnoreRange,
    Invert,
    Lie,
    LieEvery,
    LieInside,
    NoLength,
    Plain429,
    Redirect,
    RedirectLoop,
    Stall,
    Status,
    WrongRange,
)
from tests.fakes.upstream.hub import FakeUpstream
from tests.fakes.upstream.images import Image
from tests.fakes.upstream.journal import Entry, Journal

__all__ = [
    "FACES",
    "ROBOT",
    "Cut",
    "Delay",
    "DropDigestHeader",
    "Endless",
    "Entry",
    "ExpireUrl",
    "FakeUpstream",
    "Fault",
    "Faults",
    "Gzip",
    "Hang",
    "IgnoreRange",
    "Image",
    "Invert",
    "Journal",
    "Lie",
    "LieEvery",
    "LieInside",
    "NoLength",
    "Plain429",
    "Redirect",
    "RedirectLoop",
    "Stall",
    "Status",
    "WrongRange",
    "put_on",
    "take_off",
]
