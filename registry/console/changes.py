"""What people change in the console: which path changes what, after the form was found right."""

from urllib.parse import urlencode

from registry.console.accounts import CHANGES, AccountPages
from registry.console.actions import Actions, carry_out, read_action
from registry.console.forms import Form
from registry.console.page import Page
from registry.console.selection import ASK, DO, SelectionPages

_ACTIONS = "/actions/"


class Changes:
    """Carries out what forms ask for."""

    def __init__(
        self, actions: Actions, selection: SelectionPages, accounts: AccountPages | None
    ) -> None:
        """`accounts` are None if there are none."""
        self._actions = actions
        self._selection = selection
        self._accounts = accounts

    async def carry_out(self, path: str, form: Form, by: str) -> Page | str | None:
        """Do what a form says for the operator `by` (empty: nobody logs in).

        Returns a page, or the path of the next one; None if there is nothing to change at `path`.

        Raises:
            EntrepotError: it could not be done.
        """
        if path.startswith(_ACTIONS):
            return await self._act(path.removeprefix(_ACTIONS), form)
        if path in (ASK, DO):
            return await self._selection.change(path, form)
        if path in CHANGES and self._accounts is not None:
            return await self._accounts.change(path, form, by)
        return None

    async def _act(self, verb: str, form: Form) -> str:
        digest, platform = form.get("digest"), form.get("platform")
        action = read_action(verb, form.get("name"), digest, platform)
        done = await carry_out(action, self._actions)
        if verb == "remove":
            return f"/images?{urlencode({'done': done.key, 'freed': done.freed})}"
        return f"/image?{urlencode({'name': action.name, 'done': done.key})}"
