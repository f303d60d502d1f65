"""Small parts that every room uses: checks of arguments, atomic writes, network addresses. No TensorFlow."""
