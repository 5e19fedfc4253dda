"""What the background process records and measures once a minute, for reports and metrics."""

import asyncio

from registry.content.store_gauges import StoreGauges
from registry.content.traffic import Traffic
from registry.errors import StoreError
from registry.logs import get_logger

INTERVAL = 60.0  # seconds


class Monitoring:
    """Records what was answered on each day, and measures the data folder."""

    def __init__(self, traffic: Traffic, gauges: StoreGauges) -> None:
        self._traffic = traffic
        self._gauges = gauges
        self._log = get_logger("registry.content")

    async def keep_recording(self) -> None:
        """Do both at once, and then each minute until cancelled; what is refused is done later."""
        while True:
            try:
                await self._traffic.record()
            except (StoreError, OSError) as error:  # a disk may refuse for a while
                self._log.error("traffic not recorded", why=str(error))
            try:
                await self._gauges.measure()
            except (StoreError, OSError) as error:
                self._log.error("data folder not measured", why=str(error))
            await asyncio.sleep(INTERVAL)
