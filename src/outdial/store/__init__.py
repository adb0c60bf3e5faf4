"""The database behind the port `Store`: one set of transactions over two SQL sets."""
