"""Published models fetched: resumed, checked, converted, and put in their place at once."""
