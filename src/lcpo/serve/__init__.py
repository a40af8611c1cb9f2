"""An OpenAI-compatible server and proxy that obeys a token budget, enforces it, and says what it did."""
