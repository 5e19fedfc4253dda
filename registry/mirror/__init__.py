"""How does the mirror answer a pull? From memory, stored content, downloads, or the upstream."""
