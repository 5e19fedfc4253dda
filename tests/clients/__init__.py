"""Real clients pull real images through a real mirror, and run them."""
