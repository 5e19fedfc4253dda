"""Media types (image-spec, media-types.md, and the types of docker)."""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT})
MANIFESTS = INDEXES | IMAGES
# Documents of other types must have the field `mediaType`.
WITHOUT_MEDIA_TYPE = frozenset({OCI_INDEX, OCI_MANIFEST})

BLOB = "application/octet-stream"
JSON = "application/json"

# `Accept` of every request to an upstream. It does not depend on the client, because the answer is
# stored for other clients too. Without schema 1 in it, no upstream converts a manifest to schema 1.
ACCEPT_MANIFESTS = ", ".join((OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT))


def strip_parameters(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
