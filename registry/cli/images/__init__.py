"""The commands that begin with `entrepot images`."""
