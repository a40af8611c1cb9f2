"""Who has used how many tokens: of a key on a day, of a conversation. All of a call is reserved before it begins and
what it did not use is given back, so that calls side by side cannot pass the limit; what a killed server had reserved
stays counted.
"""

import datetime
import sqlite3
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lcpo.errors import ConfigError
from lcpo.serve.calls import ApiError
from lcpo.serve.guard import Key, sha256


@dataclass(frozen=True)
class Reservation:
    """Tokens that a call may use, on somebody's account."""

    account: str
    period: str
    tokens: int


class Ledger:
    """The accounts, in SQLite. path: a file, or ":memory:"."""

    def __init__(self, path: str = ":memory:") -> None:
        try:
            self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            self.db.execute(
                "CREATE TABLE IF NOT EXISTS used (account TEXT, period TEXT, tokens INTEGER NOT NULL,"
                " calls INTEGER NOT NULL, PRIMARY KEY (account, period))"
            )
        except sqlite3.Error as error:
            raise ConfigError(f"cannot keep accounts in {path}: {error}") from None

    def used(self, account: str, period: str) -> int:
        """Tokens used and reserved."""
        row = self.db.execute("SELECT tokens FROM used WHERE account = ? AND period = ?", (account, period)).fetchone()
        return int(row[0]) if row else 0

    def reserve(self, account: str, period: str, tokens: int, limit: int | None) -> Reservation | None:
        """Takes tokens from an account, None where it has fewer left. One statement, so nobody comes between."""
        row = self.db.execute(
            "INSERT INTO used VALUES (:account, :period, :tokens, 1) ON CONFLICT DO UPDATE"
            " SET tokens = tokens + :tokens, calls = calls + 1 WHERE :most IS NULL OR tokens + :tokens <= :most"
            " RETURNING tokens",
            {"account": account, "period": period, "tokens": tokens, "most": limit},
        ).fetchone()
        if row is None:
            return None
        if limit is not None and row[0] > limit:  # the first of a period meets no condition
            self.settle(Reservation(account, period, tokens), 0)
            return None
        return Reservation(account, period, tokens)

    def settle(self, reservation: Reservation, used: int) -> None:
        """Gives back what was not used."""
        self.db.execute(
            "UPDATE used SET tokens = tokens + ? WHERE account = ? AND period = ?",
            (used - reservation.tokens, reservation.account, reservation.period),
        )

    def close(self) -> None:
        """Closes the file."""
        self.db.close()


def reserve_for_key(ledger: Ledger, name: str, key: Key, tokens: int) -> Reservation:
    """Today's tokens of a key. Raises ApiError 429 with what is left and when it renews."""
    now = datetime.datetime.now(datetime.UTC)
    day = now.date().isoformat()
    reservation = ledger.reserve(f"key:{name}", day, tokens, key.tokens_per_day)
    if reservation is None:
        assert key.tokens_per_day is not None
        left = max(0, key.tokens_per_day - ledger.used(f"key:{name}", day))
        renews = datetime.datetime.combine(now.date() + datetime.timedelta(days=1), datetime.time(), datetime.UTC)
        raise ApiError(
            f"this key has {left} of {key.tokens_per_day} tokens left today, and the call may use {tokens};"
            f" lower max_tokens, or wait until {renews.isoformat()}",
            "max_tokens",
            status=429,
            headers={"Retry-After": str(int((renews - now).total_seconds()) + 1), "x-lcpo-key-remaining": str(left)},
        )
    return reservation


def read_keys(path: Path) -> Mapping[str, Key]:
    """Keys by name from a TOML file: a table each, with `key` or `sha256`, and `tokens_per_day`. Raises ConfigError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read keys from {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ConfigError(f"{path} is not TOML") from None  # the error itself could show a key
    keys = {name: _key(path, name, table) for name, table in tables.items()}
    if not keys or "admin" in keys:
        raise ConfigError(f"{path} needs at least one table, and none called admin (that is --api-key)")
    if len({key.sha256 for key in keys.values()}) < len(keys):
        raise ConfigError(f"{path} has the same key twice")
    return keys


def _key(path: Path, name: str, table: object) -> Key:
    fields = table if isinstance(table, dict) else {}
    limit, secret, digest = fields.get("tokens_per_day"), fields.get("key"), fields.get("sha256")
    if set(fields) - {"key", "sha256", "tokens_per_day"} or (secret is None) == (digest is None):
        raise ConfigError(f"[{name}] of {path} takes key or sha256, and tokens_per_day")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise ConfigError(f"tokens_per_day of [{name}] in {path} is a whole number of tokens, or left out")
    try:
        return Key(sha256(str(secret).encode()) if secret else bytes.fromhex(str(digest)), limit)
    except ValueError:
        raise ConfigError(f"sha256 of [{name}] in {path} is 64 hexadecimal digits") from None
