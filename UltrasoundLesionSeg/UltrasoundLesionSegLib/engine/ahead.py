"""Work done in other threads while the caller uses the previous result.

Tasks that depend on each other (a mask needs the one before) use one core only, and while the caller works (reads
frames, writes masks into a scene) no core computes. So each source of tasks has a thread that is one task ahead of the
caller, and two independent sources run side by side.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
Task = Callable[[], T]

AHEAD = 2  # tasks in work: one is computed, and the next one is ready for the thread


def computed_ahead(sources: Sequence[Iterator[Task[T]]], threads: int) -> Generator[T, None, None]:
    """Yield the results of all tasks; the sources take turns, and each one's tasks keep their order.

    A source is advanced in the caller's thread, its tasks run in a thread of the source's own: what may only be touched
    by the caller (a scene, a file) belongs into the source, what takes long into the task. Closing the generator waits
    for the tasks that are running and drops the others.

    Parameters
    ----------
    sources : sequence of iterator of callable
        Their tasks must not depend on each other's. A task may depend on the tasks before it of the same source, but
        a source must not depend on what the caller does with the last ``AHEAD`` results.
    threads : int
        How many threads PyTorch may use for all sources together, at least one each.

    Raises
    ------
    Exception
        What a source or a task raises, in its place: after the results before it.
    """
    import torch

    before = torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(_garbage_left_to_the_caller())
        # a new thread takes over the number of threads that was set last: restore the caller's
        stack.callback(torch.set_num_threads, before)
        lanes = deque(stack.enter_context(_Lane(source, max(1, threads // len(sources)))) for source in sources)
        while lanes:
            for lane in lanes:
                lane.fill()
            lane = lanes.popleft()
            if lane.waiting:
                lanes.append(lane)
                yield lane.waiting.popleft().result()
                gc.collect(1)


class _Lane(Generic[T]):
    """A source, its thread, and the tasks taken from it; a context that ends the thread."""

    def __init__(self, source: Iterator[Task[T]], threads: int) -> None:
        import torch

        self.waiting: deque[Future[T]] = deque()
        self._source: Iterator[Task[T]] | None = source
        self._thread = ThreadPoolExecutor(1, "propagation", torch.set_num_threads, (threads,))

    def fill(self) -> None:
        """Hand out tasks until ``AHEAD`` are."""
        while self._source is not None and len(self.waiting) < AHEAD:
            try:
                self.waiting.append(self._thread.submit(next(self._source)))
            except StopIteration:
                self._source = None
            except Exception as error:  # raised where its result would have been
                self._source = None
                failed: Future[T] = Future()
                failed.set_exception(error)
                self.waiting.append(failed)

    def __enter__(self) -> _Lane[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _garbage_left_to_the_caller() -> Generator[None, None, None]:
    """Keep Python's garbage collector out of the other threads; the caller collects the young garbage itself.

    The collector runs in whichever thread allocates. Garbage can hold Qt and VTK objects, which only the thread they
    belong to may destroy.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
