"""`keras-unet report`: runs as one HTML page that needs nothing else, for reading in a browser."""
