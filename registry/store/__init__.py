"""Where are the bytes? Whole blobs, partial files, tag files, locks."""
