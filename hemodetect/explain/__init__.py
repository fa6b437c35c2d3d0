"""Heat maps: the regions of a slice that a prediction depends on."""
