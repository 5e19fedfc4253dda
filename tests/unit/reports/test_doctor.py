"""Laws of what `entrepot doctor` finds: from facts, without a server or a client."""

from dataclasses import replace

import pytest

from registry.clients.diagnosis.cause import NOT_SET_UP, UNREAD, Cause, Diagnosis
from registry.clients.mirror import parse_mirror
from registry.reports.doctor.clients import (
    MirrorAnswer,
    Proof,
    judge_client,
    judge_mirror,
    soften_unused,
)
from registry.reports.doctor.findings import Finding, find_worst, report_findings
from registry.reports.doctor.machine import (
    DAY,
    DiskFacts,
    ServerFacts,
    judge_audit,
    judge_catalog,
    judge_certificates,
    judge_disk,
    judge_openness,
    judge_server,
)
from registry.reports.doctor.upstreams import AskedUpstream, EndpointFacts, judge_upstream
from registry.settings.model import ServerSettings, Settings, StorageSettings
from registry.settings.upstreams import UpstreamSettings
from registry.settings.values import Address

GIB = 1 << 30
DISK = DiskFacts("/data", "ext4", 100 * GIB, 60 * GIB, 0, (1000, 900), 0.01)
SETTINGS = Settings(storage=StorageSettings(limit=50 * GIB, reserve=GIB))
NOW = 1_800_000_000.0
MIRROR = parse_mirror("http://10.0.0.5:5000", [])
ANSWERS = MirrorAnswer(status=200, server="Entrepot/0.1.0", tells_probes=True)
WORKS = EndpointFacts("https://a.example")
CAUSE = Cause("x", "its file is wrong", ("file: 1",), "edit file")


@pytest.mark.parametrize(
    ("disk", "states"),
    [
        (DISK, ["ok", "ok"]),
        (replace(DISK, why_not="Read-only file system"), ["fail"]),
        (replace(DISK, free=GIB // 2), ["fail", "ok"]),
        (replace(DISK, inodes=(1000, 40)), ["warn", "ok"]),
        (replace(DISK, inodes=None), ["ok", "ok"]),
        (replace(DISK, free=20 * GIB), ["warn", "ok"]),
        (replace(DISK, free=20 * GIB, used=40 * GIB), ["ok", "ok"]),
        (replace(DISK, kind="nfs4"), ["ok", "warn"]),
        (replace(DISK, kind="tmpfs"), ["ok", "warn"]),
        (replace(DISK, sync=2.0), ["ok", "warn"]),
    ],
)
def test_disks(disk: DiskFacts, states: list[str]) -> None:
    """Space, inodes, the limit against what is there, and the file system."""
    found = judge_disk(disk, SETTINGS)
    assert states == [each.state for each in found]
    assert all(bool(each.cure) == (each.state != "ok") for each in found)


@pytest.mark.parametrize(
    ("facts", "states"),
    [
        (ServerFacts(":1", "/d"), ["fail"]),
        (ServerFacts(":1", "/d", listens=True, owner="nginx: process 7"), ["fail"]),
        (ServerFacts(":1", "/d", [":2"], listens=True, version="1"), ["ok", "ok", "ok"]),
        (ServerFacts(":1", "/d", [":2"]), ["fail", "ok", "ok"]),
        (ServerFacts(":1", "/d", [":2"], listens=True, version="0"), ["ok", "ok", "warn"]),
        (ServerFacts(":1", "/d", [":2"], listens=True, unready="x"), ["ok", "fail", "ok"]),
        (ServerFacts(":1", "/d", [":2"], listens=True, replaced=2), ["ok", "warn", "ok"]),
    ],
)
def test_servers(facts: ServerFacts, states: list[str]) -> None:
    """Whether it runs, listens, answers, and is of the version of the command."""
    assert states == [each.state for each in judge_server(facts, "1")]


@pytest.mark.parametrize(("left", "state"), [(-DAY, "fail"), (DAY, "warn"), (90 * DAY, "ok")])
def test_certificates(left: float, state: str) -> None:
    """It warns for as long as the log does."""
    (found,) = judge_certificates({"server.tls_cert": ("/c", NOW + left)}, NOW)
    assert state == found.state


def test_audits() -> None:
    """One that has never ended is no problem; one that stopped, or does not end, is."""
    for ended, began, state in (
        (0, 0, "ok"),
        (0, NOW - DAY, "ok"),
        (0, NOW - 30 * DAY, "warn"),
        (NOW - DAY, NOW - 2 * DAY, "ok"),
        (NOW - 30 * DAY, NOW - 31 * DAY, "warn"),
    ):
        assert judge_audit(ended, began, NOW, SETTINGS).state == state
    off = replace(SETTINGS, storage=StorageSettings(audit_rate=0))
    assert judge_audit(NOW, NOW, NOW, off).state == "warn"


def test_a_broken_chain_is_a_warning() -> None:
    """Some clients accept it, and others do not."""
    found = judge_certificates({"server.tls_cert": ("/c", NOW + 90 * DAY)}, NOW, "a is not b")
    assert [each.state for each in found] == ["ok", "warn"]
    assert "a is not b" in found[1].sentence


def test_catalogs() -> None:
    """What there was no time for is not called sound, and not damaged."""
    states = [judge_catalog(sound=each, seconds=4, path="x").state for each in (True, False, None)]
    assert states == ["ok", "fail", "skipped"]


@pytest.mark.parametrize(
    ("host", "user", "state"),
    [
        ("0.0.0.0", "me", "warn"),
        ("0.0.0.0", "", "ok"),
        ("127.0.0.1", "me", "ok"),
        ("10.0.0.5", "me", "warn"),
    ],
)
def test_openness(host: str, user: str, state: str) -> None:
    """Only a login of its own makes an open server tell private images."""
    upstreams = {"docker.io": UpstreamSettings(("https://a.example",), username=user, default=True)}
    server = ServerSettings(listen=Address(host, 5000))
    assert judge_openness(Settings(server=server, upstreams=upstreams)).state == state


@pytest.mark.parametrize(
    ("endpoints", "default", "state", "words"),
    [
        ([WORKS], True, "ok", "answers"),
        ([replace(WORKS, failed="name", why="no address")], True, "fail", "the step 'name' fails"),
        ([replace(WORKS, failed="TLS", why="expired")], False, "warn", "the step 'TLS' fails"),
        (
            [WORKS, replace(WORKS, endpoint="https://b", failed="connection")],
            True,
            "warn",
            "https://b does not",
        ),
        ([replace(WORKS, pulls=(5, 100))], True, "warn", "5 of 100 pulls left"),
        ([replace(WORKS, pulls=(50, 100))], True, "ok", "answers"),
        ([replace(WORKS, date="Fri, 15 Jan 2027 08:00:00 GMT", asked=NOW)], True, "ok", "answers"),
        (
            [replace(WORKS, date="Fri, 15 Jan 2027 08:05:00 GMT", asked=NOW)],
            True,
            "warn",
            "300 s behind",
        ),
        (
            [replace(WORKS, date="Fri, 15 Jan 2027 07:55:00 GMT", asked=NOW)],
            True,
            "warn",
            "300 s ahead of",
        ),
        ([replace(WORKS, date="yesterday", asked=NOW)], True, "ok", "answers"),
    ],
)
def test_upstreams(endpoints: list[EndpointFacts], default: bool, state: str, words: str) -> None:
    """Only the default upstream, of which all endpoints fail, is a failure."""
    found = judge_upstream(AskedUpstream("docker.io", endpoints, is_default=default))
    assert (state, words in found.sentence) == (found.state, True)


def judge(diagnosis: Diagnosis, proof: Proof, answer: MirrorAnswer = ANSWERS) -> list[Finding]:
    return judge_client("docker", MIRROR, answer, diagnosis, proof)


def test_the_proof_counts_more_than_files() -> None:
    """What is seen to work is not called wrong; only what stays true is a warning."""
    seen = Proof("docker pull", "", [{"client": "10.0.0.9", "agent": "docker/24", "refused": ""}])
    stays = replace(CAUSE, sentence="docker asks others first", stays=True)
    found = judge(Diagnosis((CAUSE, stays)), seen)
    assert [(each.state, each.sentence) for each in found] == [
        ("ok", "docker on this machine uses the mirror."),
        ("warn", "docker asks others first."),
    ]


def test_a_client_that_asks_for_some_images_only_says_so() -> None:
    """Otherwise people would expect images of other registries from the mirror too."""
    seen = Proof("docker pull", "", [{"client": "10.0.0.9", "agent": "docker/24", "refused": ""}])
    found = judge(Diagnosis(only="for images of Docker Hub only"), seen)

    assert found[0].sentence.endswith("uses the mirror, for images of Docker Hub only.")


def test_what_is_not_seen_has_the_cause_of_the_files() -> None:
    """The first cause is the finding, the others are warnings."""
    found = judge(Diagnosis((CAUSE, replace(CAUSE, kind="y"))), Proof("docker pull", "denied"))
    assert [each.state for each in found] == ["fail", "warn"]
    assert found[0].sentence.endswith("does not use the mirror: its file is wrong.")
    assert found[0].cure == "edit file"
    assert "denied" in found[0].evidence


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ("login", "asks for a login"),
        ("rules", "asks for a login"),
        ("images", "may not mirror this image"),
        ("other", "has refused its request"),
        ("registry", "does not mirror"),
    ],
)
def test_a_refusal_is_the_cause(refused: str, words: str) -> None:
    """Whatever the files say: the mirror was reached."""
    proof = Proof("docker pull", "", [{"refused": refused}])
    assert words in judge(Diagnosis((CAUSE,)), proof)[0].sentence


def test_a_login_after_a_refusal_counts() -> None:
    """Clients ask without a login first."""
    proof = Proof("docker pull", "", [{"refused": "login"}, {"refused": ""}])
    assert judge(Diagnosis(), proof)[0].state == "ok"


def test_what_another_program_has_pulled_proves_only_the_files() -> None:
    """What is wrong beside them stays a failure."""
    seen = Proof("ctr", "", [{"refused": ""}], by="ctr")
    assert judge(Diagnosis(), seen)[0].state == "ok"
    assert judge(Diagnosis((replace(CAUSE, stays=True),)), seen)[0].state == "ok"
    assert judge(Diagnosis((CAUSE,)), seen)[0].state == "fail"


def test_files_that_cannot_be_read_are_no_failure_by_themselves() -> None:
    """If the client is seen it uses the mirror; if nothing could be proved, nothing is known."""
    unread = Diagnosis((replace(CAUSE, kind=UNREAD),))
    assert judge(unread, Proof("docker pull", "", [{"refused": ""}]))[0].state == "ok"
    assert judge(unread, Proof(why_not="x"))[0].state == "skipped"
    assert judge(unread, Proof("docker pull"))[0].state == "fail"


def test_without_a_proof_a_right_configuration_is_not_called_wrong() -> None:
    """It is said why nothing was proved."""
    for proof in (Proof(why_not="crictl is not on this machine"), Proof(requests=None)):
        assert judge(Diagnosis(), proof)[0].state == "skipped"
    unreached = MirrorAnswer("refused", "x")
    assert judge(Diagnosis(), Proof(why_not="x"), unreached)[0].state == "skipped"
    assert judge(Diagnosis(), Proof("docker pull", "x"))[0].state == "fail"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ANSWERS, "ok"),
        (replace(ANSWERS, status=401), "ok"),
        (replace(ANSWERS, status=502), "fail"),
        (MirrorAnswer("unknown", "x"), "warn"),
        *(
            (MirrorAnswer(each, "x"), "fail")
            for each in ("name", "refused", "timeout", "certificate")
        ),
        *((MirrorAnswer(each, "x"), "fail") for each in ("unreachable", "plain", "tls", "other")),
    ],
)
def test_mirrors(answer: MirrorAnswer, state: str) -> None:
    """Each problem has a sentence and a cure without blanks to fill in."""
    found = judge_mirror(MIRROR, answer, 5)
    assert state == found.state
    assert "{" not in f"{found.sentence}{found.cure}"
    assert bool(found.cure) == (state != "ok")


def test_a_client_that_nobody_set_up_is_softened_only_beside_another() -> None:
    """Otherwise no client of the machine uses the mirror."""
    bad, good = Finding("podman", "fail", "x"), Finding("docker", "ok", "y")
    unused = {"podman": Diagnosis((replace(CAUSE, kind=NOT_SET_UP),)), "docker": Diagnosis()}
    both = soften_unused({"podman": [bad], "docker": [good]}, unused)
    assert [each.state for each in both] == ["warn", "ok"]
    assert soften_unused({"podman": [bad]}, unused)[0].state == "fail"
    wrong = {"podman": Diagnosis((CAUSE,)), "docker": Diagnosis()}
    assert soften_unused({"podman": [bad], "docker": [good]}, wrong)[0].state == "fail"


def test_what_a_terminal_obeys_and_secrets_are_not_reported() -> None:
    """A hostile mirror or client chooses its words; files of clients have tokens."""
    words = "\x1b[31mred\nline http://me:s3cret@h/t/ent_abcdefgh_ijklmnop" + "x" * 5000
    report = report_findings("1", "", [], [Finding("a", "fail", words, (words,), words)])
    (found,) = report.clients
    for text in (found.sentence, *found.evidence, found.cure):
        assert text.isprintable()
        assert "s3cret" not in text
        assert "ijklmnop" not in text
        assert len(text) < 1100


def test_the_worst_finding_is_the_first_failure() -> None:
    """Then the first warning; without either there is none."""
    ok, warn, fail = (Finding(each, each, each) for each in ("ok", "warn", "fail"))
    assert find_worst([ok, warn, fail]) == fail
    assert find_worst([ok, warn]) == warn
    assert find_worst([ok]) is None
    assert not report_findings("1", "", [fail], [ok]).well
    assert report_findings("1", "", [ok, fail], [warn]).worst == fail
    assert report_findings("1", "", [warn], [ok]).well
