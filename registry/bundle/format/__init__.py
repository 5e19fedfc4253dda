"""What is written in a bundle, byte for byte? Pure."""
