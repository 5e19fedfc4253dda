"""The commands that begin with `entrepot bundle`."""
