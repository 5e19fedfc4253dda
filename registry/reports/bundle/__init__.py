"""What do commands report about bundles? Their content, and the results of commands."""
