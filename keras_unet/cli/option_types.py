"""Options and arguments that several subcommands of `keras-unet` take."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def finite(value: float | None) -> float | None:
    """Refuse NaN and infinity, which bounds let through."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"Expected a finite number. Received {value}.")
    return value


Source = Annotated[
    str,
    typer.Argument(
        help="Preset (folder, synthetic, isbi2012, isbi2012-small, dic-hela, dic-hela-small, phc, dsb2018-small, "
        "drive-small, axondeepseg-small) or TOML file."
    ),
]
Images = Annotated[Path | None, typer.Option(help="Folder of the images; shorthand for --set data.path=…")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", help="section.key=value, as often as needed.", metavar="KEY=VALUE")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the output folder holds.")]
OfClass = Annotated[
    str | None,
    typer.Option(
        "--class",
        help="Name or number of the class whose objects are meant; by default all but background.",
        metavar="CLASS",
    ),
]
Tile = Annotated[int | None, typer.Option(help="Input tile in pixels; the default suits the memory at hand.", min=1)]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Foreground probability of an object; by default the one validated in training or tuned.",
        min=0,
        max=1,
        callback=finite,
    ),
]
MinSize = Annotated[int | None, typer.Option(help="Smallest object in pixels; by default 0, or as tuned.", min=0)]
Watershed = Annotated[
    bool | None,
    typer.Option(
        "--watershed/--components",
        help="Split touching objects, or do not; by default components, or as tuned.",
        show_default=False,
    ),
]
Depth = Annotated[
    float | None,
    typer.Option(
        help="How much wider than its waist a part must be to be split off by --watershed, in pixels (the h of "
        "h-maxima); by default 1, or as tuned. More for large objects.",
        min=0.001,
        callback=finite,
        metavar="PIXELS",
    ),
]
SeedThreshold = Annotated[
    float | None,
    typer.Option(
        help="Objects are found above this upper threshold, then flooded down to --threshold; by default there is "
        "one threshold, or as tuned.",
        min=0,
        max=1,
        callback=finite,
    ),
]
Expand = Annotated[
    int | None,
    typer.Option(
        help="Gaps between two objects up to this width go to the nearer one; by default 2, the separation border of "
        "training, or as tuned. 0 for none.",
        min=0,
        metavar="PIXELS",
    ),
]
Averaging = Annotated[
    Literal["none", "flips", "rotations", "square", "rotations7"],
    typer.Option(
        "--averaging",
        "--tta",
        help="Test-time averaging; the square's symmetries are eight, rotations7 turns whole images by 360/7 degrees.",
    ),
]
ModelPath = Annotated[
    Path, typer.Argument(help="A run folder, a folder of folds, a .keras file or an exported model.", metavar="MODEL")
]


def objects_by(
    threshold: float | None,
    min_size: int | None,
    watershed: bool | None,
    depth: float | None,
    seed_threshold: float | None,
    expand: int | None,
) -> dict[str, Any]:
    """Arguments of `InstanceSettings` by those of the command line; a depth asks for the watershed."""
    if depth is not None and watershed is False:
        raise typer.BadParameter("Expected --depth without --components, which have none. Received both.")
    if threshold is not None and seed_threshold is not None and seed_threshold < threshold:
        raise typer.BadParameter(
            f"Expected --seed-threshold of at least --threshold {threshold:g}. Received {seed_threshold:g}."
        )
    watershed = True if depth is not None else watershed
    return {
        "threshold": threshold,
        "min_size": min_size,
        "watershed": watershed,
        "depth": depth,
        "seed_threshold": seed_threshold,
        "expand": expand,
    }
