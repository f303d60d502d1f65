"""Requests that are tried again, and several at a time."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .errors import ServerError

Item = TypeVar("Item")
Result = TypeVar("Result")

_FIRST_PAUSE = 0.2  # seconds
_LONGEST_PAUSE = 10.0  # seconds


def with_retries(call: Callable[[], Result], retries: int) -> Result:
    """`call()`, tried again after errors that may pass; pauses double and vary, so that clients do not come in step.

    Raises:
        ServerError: The last one, after `retries` further attempts, or the first that will not pass.
    """
    for attempt in range(retries):
        try:
            return call()
        except ServerError as error:
            if not error.retry:
                raise
        time.sleep(min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0))
    return call()


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`function` of every item in their order, `workers` at a time; `items` is read no further ahead than that."""
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
