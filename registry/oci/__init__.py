"""What do the words of the specification mean? Pure and synchronous: no I/O, no clock."""
