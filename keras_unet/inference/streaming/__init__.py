"""Images larger than memory, predicted from file to file."""
