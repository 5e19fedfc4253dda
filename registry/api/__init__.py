"""How do container clients see us? The pull API (distribution-spec) over aiohttp."""
