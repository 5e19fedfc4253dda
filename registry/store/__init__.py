"""Where are the bytes? Whole blobs, blobs that are not whole yet, and what names point to."""
