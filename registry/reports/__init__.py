"""What do commands report? The facts for tables and for JSON."""
