"""`entrepot top`: what a mirror does at this moment."""
