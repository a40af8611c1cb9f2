"""The playground: one page, which may run its own script and speak to its own server, and nothing else."""

import base64
import hashlib
import re
from importlib import resources

from starlette.responses import HTMLResponse


def page() -> HTMLResponse:
    """The page, with a policy that names its style and script by their hashes."""
    text = (resources.files("lcpo.serve") / "page.html").read_text(encoding="utf-8")

    def hashed(tag: str) -> str:
        inner = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inner is not None
        return "'sha256-" + base64.b64encode(hashlib.sha256(inner[1].encode()).digest()).decode() + "'"

    policy = (
        f"default-src 'none'; connect-src 'self'; style-src {hashed('style')}; script-src {hashed('script')};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, headers=headers)
