"""Entrepôt: a private container-image mirror and pull-through cache."""

__version__ = "0.1.0"
