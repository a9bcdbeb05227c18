"""`audit`: does what was published still stand as it was verified, and would it pass today? It changes nothing."""
