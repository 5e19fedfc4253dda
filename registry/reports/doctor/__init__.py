"""What does `entrepot doctor` report? What was found of the server, and of each client."""
