"""`entrepot status`: whether all is well, and what the mirror does."""

from registry.cli.session import Config, Json, Session, operate


def show_status(config: Config = None, as_json: Json = False) -> None:
    """Show whether all is well, what was saved, the space, and the upstreams; exit 1 if not well.

    Example: entrepot status
    """

    async def work(session: Session) -> bool:
        # `serve` needs none of these, and starts faster without them.
        from registry.cli.printing import print_report  # noqa: PLC0415
        from registry.cli.status_reader import StatusReader  # noqa: PLC0415
        from registry.cli.status_text import draw_status  # noqa: PLC0415

        status = await StatusReader(session).read()
        print_report(status, draw_status, as_json=as_json)
        return status.well

    operate(config, work)
