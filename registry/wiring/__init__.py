"""What is made of what? The only room that composes."""
