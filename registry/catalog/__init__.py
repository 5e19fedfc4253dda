"""What is stored, and who may have it? An index in SQLite over the files, which are the truth."""
