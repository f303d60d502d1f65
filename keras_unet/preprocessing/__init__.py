"""From raw pixels to what a network takes: robust statistics of images, and their normalization as a layer."""
