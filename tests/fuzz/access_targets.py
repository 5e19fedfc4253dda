"""What says who asks: credentials, tokens in paths, what proxies say, scopes, patterns of rules."""

import base64
from contextlib import suppress
from ipaddress import ip_address

from registry.access.accounts import Accounts, make_token
from registry.access.challenges import Asked, Challenges
from registry.access.credentials import Bearer, Login, parse_authorization, split_path
from registry.access.principals import ANONYMOUS
from registry.access.proxies import TrustedProxies, parse_forwarded, parse_x_forwarded
from registry.access.rules import Rule, Rules
from registry.access.scopes import MOST, parse_scopes
from registry.access.signed_tokens import Statement, TokenSigner
from registry.errors import CredentialsInvalid, InvalidInput, TokenMisplaced
from registry.oci.registries import Registries
from registry.oci.token_texts import mask_tokens, refuse_tokens

NOW = 1_800_000_000.0
SIGNER = TokenSigner(b"k" * 32)
SIGNED = SIGNER.sign(Statement("alice", "f" * 16, frozenset({"docker.io/a"}), NOW + 1))
TOKEN, TEXT = make_token("ci", [], NOW)
ACCOUNTS = Accounts().add_token(TOKEN)
PROXIES = TrustedProxies(["10.0.0.0/8", "fd00::/8"])
CHALLENGES = Challenges(["mirror.lan"])
REGISTRIES = Registries.of("docker.io", {"docker.io": ["hub"], "corp.lan": []})
LOGIN = base64.b64encode(b"alice:correct horse").decode()
SEEDS = [
    f"Basic {LOGIN}\n/t/{TEXT}/v2/a/tags/list\nfor=192.0.2.1;proto=https\n10.0.0.1".encode()
    + b"\nrepository:a/b:pull,push\ndocker.io/library/*:1.*\nmirror.lan:5000",
    f'Bearer {SIGNED}\n/%74/x/docker.io/v2/\nfor="[2001:db8::1]:80"'.encode()
    + b"\n192.0.2.1, 10.0.0.2\nrepository(plugin):h:5000/a:*\n*\n[::1]:5000",
    f"Bearer {TEXT}\n/v2/\n\n\n\nghcr.io/a/b\nlogin".encode(),
]


def read_access(raw: bytes) -> None:
    """Read lines: Authorization, path, Forwarded, X-Forwarded-For, scope, pattern, Host."""
    lines = [*raw.decode("latin-1").split("\n", 6), *[""] * 7]
    authorization, path, forwarded, x_forwarded, scope, pattern, host = lines[:7]
    _read_credentials(authorization)
    token, rest = split_path(path)
    assert rest == path or (token and rest.startswith("/"))
    assert not (token and split_path(path)[1] == path)
    _read_misplaced(path)
    _read_proxies(forwarded, x_forwarded)
    assert len(parse_scopes([scope, scope])) <= MOST
    _read_pattern(pattern)
    challenge = CHALLENGES.write(Asked(host, has_tls=True), "a/b")
    assert challenge.count('"') == 6
    assert "\r" not in challenge


def _read_misplaced(path: str) -> None:
    """What is refused as a token is never logged, and a token of ours is always refused."""
    masked = mask_tokens(path)
    assert TEXT not in masked
    try:
        refuse_tokens(path)
    except TokenMisplaced:
        assert "ent_********" in masked
    else:
        assert TEXT not in path


def _read_credentials(header: str) -> None:
    with suppress(CredentialsInvalid):
        match parse_authorization([header]):
            case Login(name, password):
                assert ":" not in name
                assert (ACCOUNTS.find_token(password, NOW) is None) or password == TEXT
            case Bearer(text):
                assert (SIGNER.read(text, NOW) is None) or text == SIGNED
                assert (ACCOUNTS.find_token(text, NOW) is None) or text == TEXT


def _read_proxies(forwarded: str, x_forwarded: str) -> None:
    hops = parse_forwarded([forwarded]), parse_x_forwarded([x_forwarded], ["https"], ["h"])
    assert PROXIES.find_origin("192.0.2.9", *hops).address == "192.0.2.9"
    found = PROXIES.find_origin("10.0.0.1", *hops)
    assert found.address is not None
    ip_address(found.address)
    assert not any(sign in found.host for sign in '"\r\n/@ ')


def _read_pattern(text: str) -> None:
    with suppress(InvalidInput):
        rule = Rule.parse("r", ["*"], [text], REGISTRIES, is_allowed=True)
        rules = Rules([rule], ["corp.lan"])
        for name in ("docker.io/library/a", "corp.lan/a"):
            is_allowed = rules.decide(ANONYMOUS, name, "1").is_allowed
            assert not (is_allowed and name.startswith("corp") and not text.startswith("corp.lan/"))
