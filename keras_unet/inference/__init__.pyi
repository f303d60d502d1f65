from .streaming.streamed_prediction import predict_file as predict_file
from .tiling import predict as predict
