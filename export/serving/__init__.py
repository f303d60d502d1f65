"""Files to run TensorFlow Serving with: containers, model configuration, monitoring, and a load test."""
