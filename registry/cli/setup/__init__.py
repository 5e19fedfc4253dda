"""`entrepot setup`: point a container client at a mirror."""
