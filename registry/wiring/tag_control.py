"""Builds what changes the tags of a data folder for operators."""

import time

from registry.content.tag_control import TagControl
from registry.wiring.content import ContentServices


def build_tag_control(content: ContentServices) -> TagControl:
    """Return it over an open data folder."""
    return TagControl(content.manifests, content.images, time.time)
