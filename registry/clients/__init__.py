"""How is a client pointed at a mirror? Which file it reads, and what that has to say."""
