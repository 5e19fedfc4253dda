"""Where are the bytes? Content by digest, content still arriving, and what names point to."""
