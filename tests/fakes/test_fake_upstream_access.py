"""Laws of the fake upstream's tokens and logins."""

from tests.fakes.client import ask, basic, get_token

REPOSITORY = "library/thing"


def test_a_token_opens_only_its_own_repository(hub, blob):
    """A token for another repository is refused with insufficient_scope."""
    hub.add_image("library/other", "latest", [b"x"])
    other = get_token(hub, "library/other")
    answer = ask(f"{hub.url}/v2/{REPOSITORY}/manifests/latest", Authorization=other)
    assert answer.status == 401
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_expired_tokens_are_invalid(hub, blob):
    """Tokens expire after `token_ttl`, and by `expire_tokens`."""
    url = f"{hub.url}/v2/{REPOSITORY}/manifests/latest"
    token = get_token(hub, REPOSITORY)
    assert ask(url, Authorization=token).status == 200
    hub.expire_tokens()
    assert 'error="invalid_token"' in ask(url, Authorization=token).headers["WWW-Authenticate"]
    hub.token_ttl = 0
    assert ask(url, Authorization=get_token(hub, REPOSITORY)).status == 401


def test_a_private_repository_wants_its_user(hub, blob):
    """Anonymous tokens and wrong passwords are refused; the right password is accepted."""
    hub.private = {REPOSITORY: ("ann", "secret")}
    url = f"{hub.url}/v2/{REPOSITORY}/manifests/latest"
    assert ask(url, Authorization=get_token(hub, REPOSITORY)).status == 401
    scope = f"{hub.realm}?scope=repository:{REPOSITORY}:pull"
    assert ask(scope, Authorization=basic("ann", "wrong")).status == 401
    token = get_token(hub, REPOSITORY, Authorization=basic("ann", "secret"))
    assert ask(url, Authorization=token).status == 200


def test_require_user_closes_the_token_service_to_others(hub, blob):
    """With `require_user` there are no tokens without a login."""
    hub.require_user = ("bob", "pw")
    assert ask(hub.realm).status == 401
    form = f"username=bob&password=pw&scope=repository:{REPOSITORY}:pull"
    token = ask(hub.realm, method="POST", body=form).json()["token"]
    url = f"{hub.url}/v2/{REPOSITORY}/manifests/latest"
    assert ask(url, Authorization=f"Bearer {token}").status == 200


def test_basic_authentication_and_none(hub, blob):
    """With auth "basic" the registry needs the login; with "none" it needs nothing."""
    url = f"{hub.url}/v2/{REPOSITORY}/manifests/latest"
    hub.auth, hub.require_user = "basic", ("bob", "pw")
    assert ask(url).headers["WWW-Authenticate"].startswith("Basic ")
    assert ask(url, Authorization=basic("bob", "pw")).status == 200
    hub.auth = "none"
    assert ask(url).status == 200


def test_realm_override_names_a_foreign_realm(hub, blob):
    """The challenge can name any token service."""
    hub.realm_override = "http://evil.example/token"
    challenge = ask(f"{hub.url}/v2/").headers["WWW-Authenticate"]
    assert 'realm="http://evil.example/token"' in challenge
