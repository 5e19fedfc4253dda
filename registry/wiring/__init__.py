"""Which object gets which other objects? The only room that builds them."""
