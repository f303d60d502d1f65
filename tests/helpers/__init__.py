"""What the tests share: nets, runs, files, the command, a stand-in for TensorFlow Serving."""
