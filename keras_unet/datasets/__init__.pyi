from .annotator_consensus import consensus as consensus
from .base import LabelledImages as LabelledImages
from .base import Sample as Sample
from .folders import read_folder as read_folder
from .loading import NAMES as NAMES
from .loading import check_name as check_name
from .loading import load as load
