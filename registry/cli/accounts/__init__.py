"""`entrepot users` and `entrepot tokens`."""
