"""Does a client use a mirror, and if not, why? From its files, and from what it says of itself."""
