"""What is told of all this? Facts for pages, JSON and tables alike."""
