"""The pure-Python twins of the cache's compiled rooms."""
