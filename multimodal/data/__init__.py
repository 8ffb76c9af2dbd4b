"""One module per data set; each reads the official layout."""
