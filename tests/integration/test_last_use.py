"""When tokens and users were used the last time, as `entrepot tokens ls` and `users ls` show it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.harness.mirror import MirrorProcess
from tests.integration.test_access_records import PASSWORD, basic
from tests.integration.wire import fetch, wait_until

RULES = [{"who": ["*"], "allow": ["docker.io/team/*"]}]


def find_uses(mirror: MirrorProcess, kind: str) -> dict[str, Any]:
    """Return the last uses of all tokens or users, by their names."""
    listed = json.loads(mirror.run(kind, "ls", "--json").stdout)
    return {each["name"]: each["last_used"] for each in listed}


@pytest.mark.parametrize("records", [True, False])
def test_the_last_use_of_tokens_and_users_is_shown(
    shared_hub: FakeUpstream, tmp_path: Path, *, records: bool
) -> None:
    """Of pulls and logins, also without access records, and after the server was stopped."""
    shared_hub.add_image("team/app", "1", [b"x"])
    access = {"mode": "users", "login_hosts": ["login.lan"], "rules": RULES, "records": records}
    began = int(time.time())
    upstreams = {"docker.io": shared_hub.url}
    with MirrorProcess(tmp_path, upstreams, {"access": access}, workers=1) as mirror:
        for name in ("alice", "bob"):
            done = mirror.run("users", "add", name, "--password-stdin", stdin=PASSWORD)
            assert not done.returncode
        made = [mirror.run("tokens", "add", name, "--json").stdout for name in ("ci", "idle")]
        path = f"/t/{json.loads(made[0])['token']}/v2/docker.io/team/app/manifests/1"
        wait_until(lambda: fetch(mirror.url + path).status == 200, "the token counts")
        login = basic("alice", PASSWORD) | {"Host": "login.lan"}
        assert fetch(f"{mirror.url}/token", login).status == 200
        wrong = basic("bob", "wrong password") | {"Host": "login.lan"}
        assert fetch(f"{mirror.url}/token", wrong).status == 401

    tokens, users = find_uses(mirror, "tokens"), find_uses(mirror, "users")
    assert (tokens["idle"], users["bob"]) == (None, None)
    assert began <= tokens["ci"] <= time.time()
    assert began <= users["alice"] <= time.time()
    assert "within the hour" in mirror.run("tokens", "ls").stdout
    assert "never" in mirror.run("users", "ls").stdout
