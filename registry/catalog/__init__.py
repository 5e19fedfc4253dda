"""What do we know? An index in SQLite over the files, which are the truth."""
