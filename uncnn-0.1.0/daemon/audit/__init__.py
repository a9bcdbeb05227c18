"""`audit`: does what was released still stand as it was verified, and would it pass today? It changes nothing."""
