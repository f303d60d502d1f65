"""What tests of instances and of thinned membranes share: labels drawn as lines of digits."""

import numpy as np


def draw(picture):
    """Labels from lines of digits, '.' for background."""
    return np.array([[int(letter) for letter in line.replace(".", "0")] for line in picture.split()])
