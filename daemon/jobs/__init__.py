"""A photo on its way from a watched folder to the publish folder, each step in the ledger first."""
