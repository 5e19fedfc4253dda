"""The cases of the table, in its order."""

from benchmarks.bench import Case
from benchmarks.cases.bundle import BUNDLE, BUNDLE_16
from benchmarks.cases.cold import COLD, COLD_96, COLD_192
from benchmarks.cases.concurrent import CONCURRENT
from benchmarks.cases.docker import DOCKER
from benchmarks.cases.endpoints import CHANGES, CUTS, ENDPOINTS, LIES, REFUSES, STALLS
from benchmarks.cases.far import FAR
from benchmarks.cases.first_byte import FIRST_BYTE
from benchmarks.cases.hot import HOT, HOT_16
from benchmarks.cases.images import IMAGES
from benchmarks.cases.manifests import MANIFESTS
from benchmarks.cases.memory import MEMORY
from benchmarks.cases.narrow import NARROW
from benchmarks.cases.ranges import RANGES
from benchmarks.cases.slow import SLOW
from benchmarks.cases.stores import LOOKUP, START
from benchmarks.cases.tls import TLS, TLS_96, TLS_192
from benchmarks.cases.users import USERS_CERTIFICATE, USERS_HEADER, USERS_PATH
from benchmarks.cases.warm import WARM

CASES: tuple[Case, ...] = (
    HOT,
    HOT_16,
    BUNDLE,
    BUNDLE_16,
    RANGES,
    MANIFESTS,
    USERS_HEADER,
    USERS_PATH,
    USERS_CERTIFICATE,
    COLD,
    COLD_192,
    COLD_96,
    TLS,
    TLS_192,
    TLS_96,
    FIRST_BYTE,
    CONCURRENT,
    NARROW,
    FAR,
    ENDPOINTS,
    STALLS,
    CUTS,
    REFUSES,
    LIES,
    CHANGES,
    WARM,
    DOCKER,
    IMAGES,
    SLOW,
    START,
    MEMORY,
    LOOKUP,
)
