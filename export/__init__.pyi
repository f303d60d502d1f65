from .description import read_description as read_description
from .error_messages import sentence as sentence
from .saved_model import save as save
from .verification import largest_difference as largest_difference
from .verification import segment_without_keras as segment_without_keras
