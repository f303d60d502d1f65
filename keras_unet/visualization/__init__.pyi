from .overlays import coloured as coloured
from .overlays import grey_or_colour as grey_or_colour
from .overlays import heat as heat
from .overlays import outlines as outlines
from .overlays import overlay as overlay
from .overlays import side_by_side as side_by_side
