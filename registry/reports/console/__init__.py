"""What do people see in the console? The facts of each page."""
