"""The compiled rooms of the cache."""
