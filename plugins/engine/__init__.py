"""What runs an attack: batches of faces, the loss over the surrogates, the budget, the change put into the photo."""
