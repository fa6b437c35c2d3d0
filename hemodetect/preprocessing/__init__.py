"""From slices to the input of models: head outline, position, standard frame."""
