# ruff: noqa: E501 - a sentence is one line, so that it can be searched for
"""The sentences of docs/security.md about the console and what it keeps, with their tests."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.architecture.tag_sentences import ADVICE

CONSOLE_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "It also keeps what each address last asked for with each tool, as long, and for at most 20,000 of them.": "unit/catalog/test_client_visits.py::test_failures_do_not_push_out_those_who_pull unit/catalog/test_client_visits.py::test_old_visits_are_forgotten_with_old_pulls",
        "`access.addresses` says what is kept of an address in all of these: all of it, its network, or nothing.": "integration/test_console_clients.py::test_without_addresses_no_client_is_recorded integration/test_record_settings.py::test_no_more_of_an_address_is_kept_than_is_wanted",
        'With `access.mode = "open"`, the console has no login: keep `server.console` on the loopback address, or behind a server that has a login.': ADVICE,
        "Whoever reaches it then sees images, clients and events, and only programs on the machine of the mirror may change something.": "unit/console/test_visitors.py::test_without_accounts_only_this_machine_changes_things",
        'With `"users"`, only users of the group `admin` see its pages, after a login; `/livez`, `/readyz` and `/metrics` stay open.': "integration/test_console_actions.py::test_with_accounts_everybody_has_to_log_in",
        "A form changes something only if it is from a page of the console.": "integration/test_console_actions.py::test_other_sites_cannot_send_forms integration/test_console_actions.py::test_a_form_needs_the_value_of_its_page",
        "Users and tokens are changed only by somebody who has logged in; a new token is only in the answer to its form, which no cache keeps.": "integration/test_console_accounts.py::test_an_ordinary_user_manages_nothing integration/test_console_accounts.py::test_a_token_is_shown_once",
        "Names and errors of upstreams are shown as text, and no page runs a script of another site.": "integration/test_console_pages.py::test_wrong_names_are_told_as_text integration/test_console_pages.py::test_each_page_forbids_scripts_of_others",
        "It answers only if it is asked for by an address, by a name without a dot, or by a name in `server.console_hosts`, so that no web page can read it through a browser.": "integration/test_console.py::test_the_console_answers_to_its_own_names",
    }
)
