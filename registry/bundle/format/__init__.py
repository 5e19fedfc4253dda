"""What is each byte of a bundle? Pure, except that a key is read from its file."""
