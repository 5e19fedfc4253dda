"""What do we do about a pull? The domain: only through store, catalog and upstream."""
