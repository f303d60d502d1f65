"""What the subcommands of `keras-unet` do. Here and in `keras_unet.cli` alone the library uses training and export."""
