"""Measures a server under load: requests per second and the time of a request.

    python -m keras_unet.export.serving.load_generator http://localhost:8501 cells --size 512 --requests 200

Every request is one image. The load ends after `--requests` or `--seconds`, whichever comes first.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from keras_unet import image_io
from keras_unet.export.client import Client, ServerError
from keras_unet.export.client.parallel import ordered_map

_MOST_REQUESTS = 100_000
_LONGEST = 3600.0  # seconds


class Load(NamedTuple):
    """What a load test measured.

    Args:
        seconds: From the first request to the last answer.
        latencies: Seconds of each request that succeeded, retries included.
        errors: What went wrong, and how often.
    """

    seconds: float
    latencies: list[float]
    errors: Counter[str]

    def report(self) -> str:
        """The figures on one line each."""
        lines = [f"{len(self.latencies)} requests in {self.seconds:.1f} s"]
        if self.latencies:
            p50, p95 = np.percentile(self.latencies, (50, 95)) * 1000
            lines += [f"{len(self.latencies) / self.seconds:.2f} requests/s", f"p50 {p50:.0f} ms", f"p95 {p95:.0f} ms"]
        return "\n".join(lines + [f"{count} x {error}" for error, count in self.errors.most_common()])


def run_load(client: Client, image: NDArray[Any], requests: int, seconds: float) -> Load:
    """Segment one image over and over, `client.concurrency` times at once.

    Args:
        client: Should not retry, or the time of retries is measured too.
        image: `(height, width, channels)`.
        requests: The most requests.
        seconds: No request begins after so many seconds.
    """
    client.segment(image)  # the first request of a size is slow
    start = time.perf_counter()

    def numbers() -> Iterator[int]:
        for number in range(requests):
            if time.perf_counter() - start > seconds:
                return
            yield number

    def latency(_: int) -> float | str:
        begin = time.perf_counter()
        try:
            client.segment(image)
        except ServerError as error:
            return str(error)
        return time.perf_counter() - begin

    results = list(ordered_map(latency, numbers(), client.concurrency))
    took = time.perf_counter() - start
    latencies = [result for result in results if isinstance(result, float)]
    return Load(took, latencies, Counter(result for result in results if isinstance(result, str)))


def noise(description: dict[str, Any], size: int) -> NDArray[Any]:
    """An image of `size` by `size` pixels in the value range of the model; noise compresses worst.

    A model of float pixels gets whole numbers, as cameras give them, where its range permits: they travel as PNG.
    """
    dtype = np.dtype(description["input"]["dtype"])
    low, high = description["input"]["value_range"]
    if dtype.kind == "f":
        fitting = (kind for kind in (np.uint8, np.uint16) if 0 <= low < high <= np.iinfo(kind).max)
        dtype = np.dtype(next(fitting, dtype) if high - low > 1 else dtype)
    if dtype.kind in "iu":
        low, high = max(low, np.iinfo(dtype).min), min(high, np.iinfo(dtype).max)
    shape = (size, size, description["input"]["channels"])
    return np.random.default_rng(0).uniform(low, high, shape).astype(dtype)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load test of the command line; the exit status is 1 if a request failed."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("url", help="http://host:8501 or grpc://host:8500")
    parser.add_argument("model", help="name of the model on the server")
    parser.add_argument("--version", help="version number or label")
    parser.add_argument("--image", type=Path, help="image file to send; by default noise")
    parser.add_argument("--size", type=int, default=512, help="side of the noise image in pixels")
    parser.add_argument("--requests", type=int, default=100, help=f"the most requests, up to {_MOST_REQUESTS}")
    parser.add_argument("--seconds", type=float, default=60.0, help=f"the longest time, up to {_LONGEST:g}")
    parser.add_argument("--concurrency", type=int, default=4, help="requests at a time")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for an answer")
    given = parser.parse_args(arguments)
    if not (1 <= given.requests <= _MOST_REQUESTS and 0 < given.seconds <= _LONGEST and given.size >= 1):
        parser.error(f"expected 1 to {_MOST_REQUESTS} requests in at most {_LONGEST:g} seconds and a size from 1")
    version = int(given.version) if given.version and given.version.isdecimal() else given.version
    try:
        client = Client(
            given.url, given.model, version=version, timeout=given.timeout, retries=0, concurrency=given.concurrency
        )
        with client:
            image = noise(client.description(), given.size) if given.image is None else image_io.read_image(given.image)
            load = run_load(client, image, given.requests, given.seconds)
    except (ValueError, OSError) as error:
        print(f"load_generator: {error}", file=sys.stderr)
        return 1
    print(load.report())
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
