"""What the subcommands of `keras-unet` do; the only place of the library that uses training and export."""
