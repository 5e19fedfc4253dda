"""Every error of Entrepôt, in one tree.

    EntrepotError
    ├── InvalidInput              request or argument that its author has to change
    │   ├── NameInvalid           repository name outside the grammar
    │   ├── NameIsURL             image that is named by a URL
    │   ├── MirrorNamed           image that is named by the mirror's own address
    │   ├── TokenMisplaced        token that stands where a name belongs
    │   ├── TagInvalid            tag outside the grammar
    │   ├── DigestInvalid         digest outside the grammar, or an unsupported algorithm
    │   ├── FileUnreadable        file or folder on the command line that cannot be opened
    │   ├── KeyInvalid            file that is not a key for signing bundles
    │   ├── HostInvalid           text that is neither the name of a host nor an address
    │   ├── AuthorityInvalid      file with which no certificate can be signed
    │   ├── MirrorAddressInvalid  what is said of a mirror that clients shall use, and is not usable
    │   ├── ClientFileInvalid     configuration of a client that is not changed, as it is unusual
    │   ├── VolumeTooSmall        size that is too small for the volumes of a bundle
    │   ├── PlatformInvalid       text that is not os/architecture[/variant]
    │   ├── ClientInvalid         text that is not an address, a network or a glob of addresses
    │   ├── PaginationInvalid     `n` that is not a number
    │   ├── ListInvalid           list of images, or file that names images, that cannot be read
    │   │   └── ValueUnknown      image of a list that depends on a value which is not known
    │   └── RangeUnsatisfiable    byte range after the end of the content
    ├── Unknown                   name or digest that does not exist, here or upstream
    │   ├── NameUnknown           no such repository, or no such upstream
    │   │   └── NameConcealed     what a client reads of a repository that it does not get
    │   ├── ImageUnknown          image that a command names, and that is not stored
    │   ├── ImageIncomplete       image that is not stored, or only in part
    │   ├── DigestNotSeen         digest to which a tag has never led, as far as is known
    │   ├── PatternUnmatched      name or glob of a command that matches no stored image
    │   ├── ManifestUnknown       no such tag or manifest in this repository
    │   │   └── ManifestConcealed what a client reads of a manifest that it does not get
    │   ├── PlatformUnknown       the image has no manifest for this platform
    │   ├── BlobUnknown           no such blob in this repository
    │   │   └── BlobConcealed     what a client reads of a blob that it does not get
    │   └── ReferrersUnsupported  the upstream has no referrers API
    ├── UpstreamError             upstream without a usable answer: the content may exist or not
    │   ├── UpstreamUnreachable   no connection, no answer in time, or 5xx
    │   │   └── TagUnconfirmed    only one endpoint says what a tag means, and two have to agree
    │   ├── UpstreamThrottled     429: wait `retry_after` seconds
    │   │   └── PullsReserved     what is left of the pull limit is reserved for clients
    │   ├── UpstreamDenied        401 or 403 with the configured credentials
    │   ├── UpstreamFaulty        an answer that the specification does not allow
    │   │   └── UpstreamLoop      request that has come back to the mirror that sent it
    │   ├── TagDisputed           endpoints that disagree about a tag, and none of them decides
    │   ├── UpstreamUnproven      no endpoint's bytes may be sent before they are verified
    │   └── UpstreamOffline       `offline = true`: no connection may be opened
    ├── ManifestInvalid           manifest that no client may get
    ├── DigestMismatch            bytes that do not have their digest
    ├── DownloadCrashed           download that a mistake of this program has ended
    ├── TooManyDownloads          no connection is left for another download
    ├── TooManyUnknown            address that asks for too much that does not exist
    ├── TooManyRequests           address that has too many requests in flight
    ├── TooManyReaders            download that too many clients follow
    ├── AccessDenied              it was not proved who asks
    │   ├── LoginRequired         no credentials where a login is needed
    │   ├── CredentialsWrong      credentials that belong to no account
    │   ├── CredentialsInvalid    a header with credentials that cannot be read
    │   ├── ScopeMissing          token that was made for another repository
    │   └── NotAllowed            the rules do not allow it
    ├── NotMirrored               the settings of the upstream do not let it be mirrored
    │   └── TagTooNew             tag of an image that is not known for long enough
    ├── TooManyLogins             more passwords than can be checked at the moment
    ├── AccountUnknown            no user or token of this name
    ├── AccountExists             user or token whose name is taken
    ├── BundleInvalid             bundle that is damaged, or file that is not a bundle
    │   └── BundleForeign         bundle with an entry that another program has added or changed
    ├── ImagePinned               the image is pinned, so it cannot be removed
    ├── ImageInUse                a client has pulled the image, so it has not expired any more
    ├── NotPinned                 the image is not pinned, so it cannot be unpinned
    ├── NotRolledBack             the tag is not rolled back, so that cannot be ended
    ├── StoreError                the disk refused an operation
    │   ├── StoreFull             there is no space for a blob
    │   ├── MediumUnreadable      file of a served bundle that cannot be read at the moment
    │   ├── StoreTooNew           a newer version has written the data folder
    │   └── CatalogLost           the catalog is missing, damaged or replaced
    └── SettingsError             setting that cannot be used

`Unknown` and `UpstreamError` are different answers. The mirror may remember that content does not
exist (`Unknown`). It never remembers that an upstream gave no answer (`UpstreamError`). The facts
of an error are attributes, and its message is made from them. HTTP statuses are only in
`registry/api/errors.py`.

To add an error: write its class in the file of its family, its line in this tree, and its import.
"""

from registry.errors.access import AccessDenied as AccessDenied
from registry.errors.access import AccountExists as AccountExists
from registry.errors.access import AccountUnknown as AccountUnknown
from registry.errors.access import BlobConcealed as BlobConcealed
from registry.errors.access import CredentialsInvalid as CredentialsInvalid
from registry.errors.access import CredentialsWrong as CredentialsWrong
from registry.errors.access import LoginRequired as LoginRequired
from registry.errors.access import ManifestConcealed as ManifestConcealed
from registry.errors.access import NameConcealed as NameConcealed
from registry.errors.access import NotAllowed as NotAllowed
from registry.errors.access import NotMirrored as NotMirrored
from registry.errors.access import ScopeMissing as ScopeMissing
from registry.errors.access import TagTooNew as TagTooNew
from registry.errors.access import TooManyLogins as TooManyLogins
from registry.errors.content import BundleForeign as BundleForeign
from registry.errors.content import BundleInvalid as BundleInvalid
from registry.errors.content import DigestMismatch as DigestMismatch
from registry.errors.content import DownloadCrashed as DownloadCrashed
from registry.errors.content import ImageInUse as ImageInUse
from registry.errors.content import ImagePinned as ImagePinned
from registry.errors.content import ManifestInvalid as ManifestInvalid
from registry.errors.content import NotPinned as NotPinned
from registry.errors.content import NotRolledBack as NotRolledBack
from registry.errors.content import TooManyDownloads as TooManyDownloads
from registry.errors.content import TooManyReaders as TooManyReaders
from registry.errors.content import TooManyRequests as TooManyRequests
from registry.errors.content import TooManyUnknown as TooManyUnknown
from registry.errors.input import AuthorityInvalid as AuthorityInvalid
from registry.errors.input import ClientFileInvalid as ClientFileInvalid
from registry.errors.input import ClientInvalid as ClientInvalid
from registry.errors.input import DigestInvalid as DigestInvalid
from registry.errors.input import FileUnreadable as FileUnreadable
from registry.errors.input import HostInvalid as HostInvalid
from registry.errors.input import InvalidInput as InvalidInput
from registry.errors.input import KeyInvalid as KeyInvalid
from registry.errors.input import ListInvalid as ListInvalid
from registry.errors.input import MirrorAddressInvalid as MirrorAddressInvalid
from registry.errors.input import MirrorNamed as MirrorNamed
from registry.errors.input import NameInvalid as NameInvalid
from registry.errors.input import NameIsURL as NameIsURL
from registry.errors.input import PaginationInvalid as PaginationInvalid
from registry.errors.input import PlatformInvalid as PlatformInvalid
from registry.errors.input import RangeUnsatisfiable as RangeUnsatisfiable
from registry.errors.input import TagInvalid as TagInvalid
from registry.errors.input import TokenMisplaced as TokenMisplaced
from registry.errors.input import ValueUnknown as ValueUnknown
from registry.errors.input import VolumeTooSmall as VolumeTooSmall
from registry.errors.installation import CatalogLost as CatalogLost
from registry.errors.installation import MediumUnreadable as MediumUnreadable
from registry.errors.installation import SettingsError as SettingsError
from registry.errors.installation import StoreError as StoreError
from registry.errors.installation import StoreFull as StoreFull
from registry.errors.installation import StoreTooNew as StoreTooNew
from registry.errors.root import EntrepotError as EntrepotError
from registry.errors.unknown import BlobUnknown as BlobUnknown
from registry.errors.unknown import DigestNotSeen as DigestNotSeen
from registry.errors.unknown import ImageIncomplete as ImageIncomplete
from registry.errors.unknown import ImageUnknown as ImageUnknown
from registry.errors.unknown import ManifestUnknown as ManifestUnknown
from registry.errors.unknown import NameUnknown as NameUnknown
from registry.errors.unknown import PatternUnmatched as PatternUnmatched
from registry.errors.unknown import PlatformUnknown as PlatformUnknown
from registry.errors.unknown import ReferrersUnsupported as ReferrersUnsupported
from registry.errors.unknown import Unknown as Unknown
from registry.errors.upstream import PullsReserved as PullsReserved
from registry.errors.upstream import TagDisputed as TagDisputed
from registry.errors.upstream import TagUnconfirmed as TagUnconfirmed
from registry.errors.upstream import UpstreamDenied as UpstreamDenied
from registry.errors.upstream import UpstreamError as UpstreamError
from registry.errors.upstream import UpstreamFaulty as UpstreamFaulty
from registry.errors.upstream import UpstreamLoop as UpstreamLoop
from registry.errors.upstream import UpstreamOffline as UpstreamOffline
from registry.errors.upstream import UpstreamThrottled as UpstreamThrottled
from registry.errors.upstream import UpstreamUnproven as UpstreamUnproven
from registry.errors.upstream import UpstreamUnreachable as UpstreamUnreachable
