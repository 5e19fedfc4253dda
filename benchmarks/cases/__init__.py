"""The cases of the table, in its order."""

from benchmarks.bench import Case
from benchmarks.cases.bundle import BUNDLE, BUNDLE_16
from benchmarks.cases.cold import COLD
from benchmarks.cases.concurrent import CONCURRENT
from benchmarks.cases.docker import DOCKER
from benchmarks.cases.hot import HOT, HOT_16
from benchmarks.cases.images import IMAGES
from benchmarks.cases.manifests import MANIFESTS
from benchmarks.cases.narrow import NARROW
from benchmarks.cases.ranges import RANGES
from benchmarks.cases.slow import SLOW
from benchmarks.cases.stores import LOOKUP, START

CASES: tuple[Case, ...] = (
    HOT,
    HOT_16,
    BUNDLE,
    BUNDLE_16,
    RANGES,
    MANIFESTS,
    COLD,
    CONCURRENT,
    NARROW,
    DOCKER,
    IMAGES,
    SLOW,
    START,
    LOOKUP,
)
