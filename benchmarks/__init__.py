"""How quick, how small and how quiet regcache is, beside other ways to do the same. See README.md."""
