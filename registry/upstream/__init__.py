"""What do other registries have? Everything that opens a connection to them."""
