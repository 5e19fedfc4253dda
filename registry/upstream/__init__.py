"""What do others have? Everything that opens a connection to another registry."""
