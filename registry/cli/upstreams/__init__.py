"""The commands that begin with `entrepot upstreams`."""
