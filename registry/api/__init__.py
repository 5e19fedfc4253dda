"""What do container clients see? The pull API (distribution-spec) over aiohttp."""
