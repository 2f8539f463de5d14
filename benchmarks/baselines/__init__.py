"""Other ways to read a health body: what regcache is compared with. Each gives the same plain tuples."""
