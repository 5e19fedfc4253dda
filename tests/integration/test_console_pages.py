"""The pages of the console: the same facts for people and programs, safely shown."""

import json
import re

import pytest

from registry import __version__
from tests.conftest import MirrorMaker
from tests.fakes.upstream import FakeUpstream
from tests.harness.console_browser import ConsoleBrowser, path_of
from tests.harness.mirror import MirrorProcess
from tests.integration.images import keep, make_layer
from tests.integration.wire import fetch, wait_until

PAGES = ("/", "/images", "/upstreams", "/clients", "/setup", "/events")
NAME = "docker.io/team/app:1"


@pytest.fixture
def console(mirror: MirrorProcess, hub: FakeUpstream) -> ConsoleBrowser:
    """The console of a mirror that has the image `NAME`."""
    keep(mirror, hub.add_image("team/app", "1", [make_layer(1)]))
    return ConsoleBrowser(mirror)


def test_every_page_is_there_in_both_languages(console: ConsoleBrowser) -> None:
    """A page in English is not one in Chinese, and each says which it is."""
    for path in (*PAGES, path_of(NAME)):
        english = console.ask(path, {"Accept-Language": "de, en;q=0.5"})
        chinese = console.ask(path, {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8"})

        assert (english.status, chinese.status) == (200, 200), path
        assert '<html lang="en">' in english.text
        assert '<html lang="zh-Hans">' in chinese.text


def test_a_chosen_language_is_kept(console: ConsoleBrowser) -> None:
    """The link at the end of a page counts more than what the browser sends."""
    console.ask("/images?lang=zh")

    assert '<html lang="zh-Hans">' in console.ask("/", {"Accept-Language": "en"}).text


def test_a_page_and_its_json_have_the_same_facts(console: ConsoleBrowser) -> None:
    """The name, the digest and the size of an image are the same in list, page and JSON."""
    listed = console.read("/images")["images"]
    assert [each["name"] for each in listed] == [NAME]
    image = console.read(path_of(NAME))
    page = console.ask(path_of(NAME)).text

    assert image["image"] == listed[0]
    assert image["image"]["state"] == "complete"
    assert image["frees"] == image["image"]["size"]
    assert image["image"]["digest"] in page
    assert [each["client"] for each in image["pulls"]] == ["127.0.0.1"]
    assert [each["client"] for each in console.read("/clients")["clients"]] == ["127.0.0.1"]


def test_a_person_sees_whether_their_machine_uses_the_mirror(console: ConsoleBrowser) -> None:
    """The page of clients says when the address of the browser has pulled."""
    clients = console.read("/clients")

    assert clients["you"] == "127.0.0.1"
    assert clients["you_pulled"] == clients["clients"][0]["pulled"]
    assert "Your address is 127.0.0.1: it last pulled here" in console.ask("/clients").text


def test_the_overview_counts_what_is_stored(console: ConsoleBrowser) -> None:
    """The first page says that all is well, what is used, and that one client was here."""
    wait_until(lambda: console.read("/")["blobs"] == 3, "all blobs are counted")
    overview = console.read("/")

    assert overview["health"]["finding"] == "ok"
    assert overview["version"] == __version__
    assert overview["images"] == 1
    assert overview["clients"] == 1
    assert overview["space"]["used"] == overview["largest"][0]["size"]
    assert "All is well." in console.ask("/").text


def test_the_console_and_the_command_say_the_same(
    console: ConsoleBrowser, mirror: MirrorProcess
) -> None:
    """What was saved is the same to the byte on the first page and in `entrepot status`."""
    said = json.loads(mirror.run("status", "--json").stdout)
    overview = console.read("/")

    assert overview["traffic"] == said["traffic"]
    assert overview["traffic"]["today"]["requests"] > 0
    assert (overview["space"]["used"], overview["space"]["limit"]) == (
        said["space"]["used"],
        said["space"]["limit"],
    )


def test_the_overview_has_every_upstream(console: ConsoleBrowser, mirror: MirrorProcess) -> None:
    """Also those that nobody has asked yet: they are said to be never used."""
    configured = json.loads(mirror.run("config", "show", "--json").stdout)["upstreams"]
    wait_until(lambda: find_states(console).get("docker.io") == "ok", "docker.io was measured")
    states = find_states(console)
    page = console.ask("/").text

    assert states.keys() == configured.keys()
    assert set(states.values()) == {"ok", "unused"}
    assert all(f'<a href="/upstreams">{name}</a>' in page for name in configured)


def find_states(console: ConsoleBrowser) -> dict[str, str]:
    return {each["upstream"]: each["state"] for each in console.read("/")["upstreams"]}


def test_each_page_forbids_scripts_of_others(console: ConsoleBrowser) -> None:
    """Pages run no script but their own, are in no frame, and tell no address to other sites."""
    for path in (*PAGES, "/absent", "/actions/pin?name=x"):
        headers = console.ask(path).headers

        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_style_and_script_are_kept_for_ever(console: ConsoleBrowser) -> None:
    """Their names change with their content, so that browsers never ask again."""
    page = console.ask("/").text
    paths = re.findall(r'"(/static/[0-9a-f]{16}/[a-z.]+)"', page)

    assert {"console.css", "console.js", "icon.svg"} == {path.rpartition("/")[2] for path in paths}
    for path in paths:
        answer = console.ask(path)
        assert answer.status == 200
        assert "immutable" in answer.headers["cache-control"]
    assert console.ask("/static/0000000000000000/console.css").status == 404


def test_programs_get_the_list_of_probes_as_before(mirror: MirrorProcess) -> None:
    """Who asks for `/` without wanting a page or JSON gets plain text."""
    answer = fetch(f"{mirror.console}/")

    assert answer.body.decode().startswith("Entrepôt\n\n/livez")


def test_wrong_names_are_told_as_text(console: ConsoleBrowser) -> None:
    """What is no image is told in a page, and nothing of it becomes markup."""
    hostile = "<script>alert(1)</script>"
    for path in (f"/image?name={hostile}", f"/images?after={hostile}", f"/actions/{hostile}"):
        answer = console.ask(path)
        assert answer.status == 400, path
        assert hostile not in answer.text

    searched = console.ask(f"/images?q={hostile}")
    assert searched.status == 200
    assert hostile not in searched.text
    assert "&lt;script&gt;" in searched.text
    assert console.ask("/image?name=docker.io/team/absent:1").status == 404


def test_events_are_those_of_all_processes(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """What a worker logs is on the page, and text of an upstream stays text."""
    mirror = make_mirror(workers=1)
    console = ConsoleBrowser(mirror)
    image = hub.add_image("team/broken", "1", [make_layer(7)])
    hub.stop()
    fetch(f"{mirror.url}/v2/team/broken/manifests/{image.tag}")

    def list_events() -> set[str]:
        return {each["event"] for each in console.read("/events")["events"]}

    wait_until(lambda: "serving" in list_events(), "the supervisor's event")
    wait_until(lambda: "endpoint failed" in list_events(), "the worker's event")
    assert "An endpoint does not answer" in console.ask("/events?level=warning").text
    assert "serving" not in json.dumps(console.read("/events?level=warning"))


def test_images_are_listed_in_pages(make_mirror: MirrorMaker, hub: FakeUpstream) -> None:
    """Fifty at a time, each once, in the order of their names; a filter finds one."""
    mirror = make_mirror(workers=1)
    images = [hub.add_image("team/many", f"v{number:03}", [make_layer(1)]) for number in range(60)]
    keep(mirror, *images)
    console = ConsoleBrowser(mirror)
    first = console.read("/images")
    second = console.read(f"/images?after={first['after']}")
    names = [each["reference"] for page in (first, second) for each in page["images"]]

    assert [f"v{number:03}" for number in range(60)] == names
    assert second["after"] == ""
    found = console.read("/images?q=MANY:v042")["images"]
    assert [each["reference"] for each in found] == ["v042"]
    assert console.read("/images?upstream=ghcr.io")["images"] == []
    for sort in ("pulled", "size"):
        page = console.read(f"/images?sort={sort}")
        rest = console.read(f"/images?sort={sort}&after={page['after']}")
        both = {each["name"] for each in page["images"] + rest["images"]}
        assert len(both) == 60, sort


def test_the_mirror_itself_greets_a_browser(mirror: MirrorProcess) -> None:
    """A person sees how to set up a client at the address that the browser used; clients do not."""
    html = {"Accept": "text/html"}
    page = fetch(f"{mirror.url}/", html)
    program = fetch(f"{mirror.url}/")

    assert page.status == 200
    assert "registry-mirrors" in page.body.decode()
    assert f"&#34;{mirror.url}&#34;" in page.body.decode()
    assert "It answers pulls." in page.body.decode()
    style = re.search(r'"(/static/[^"]+\.css)"', page.body.decode())
    assert style is not None
    assert fetch(mirror.url + style[1]).status == 200
    assert program.status == 404
    assert fetch(f"{mirror.url}/v2/", html).status == 200
