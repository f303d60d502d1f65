from .description import read_description as read_description
from .messages import sentence as sentence
from .proof import largest_difference as largest_difference
from .proof import segment_without_keras as segment_without_keras
from .saved_model import save as save
