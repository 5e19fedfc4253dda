"""`entrepot users`, `entrepot tokens` and `entrepot pulls`."""
