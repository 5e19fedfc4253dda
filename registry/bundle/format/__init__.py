"""What are the bytes of a bundle? Pure, except that keys are read from files."""
