"""Foreign layers: a manifest names them, but the registry need not have them.

The layers of older Windows images are foreign, because their license forbids copies. Clients
download them from the `urls` in their descriptors (image-spec, descriptor.md).
"""

from registry.oci.manifest import Descriptor


def describe_foreign(layer: Descriptor) -> str:
    """Return the sentence about a foreign layer that is not stored: where it is."""
    if not layer.urls:
        where = "the registry need not have it, and the image names no other place"
    else:
        where = f"clients download it from {layer.urls[0]}"
    return f"the layer {layer.digest} is foreign: {where}"
