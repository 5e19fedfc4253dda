"""How do container clients see us? The pull API over aiohttp (distribution-spec)."""
