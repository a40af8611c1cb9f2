"""The trained sentence and a hard cap on SGLang, without lcpo between: what `lcpo serve --upstream` sends to it.

    python -m sglang.launch_server --model-path MODEL --reasoning-parser qwen3 --enable-strict-thinking
    python examples/sglang_budget.py http://127.0.0.1:30000/v1 MODEL "Which two of b048 c217 e393 f125 h461 i308 k279 l010 add up closest to 550?" 64

Without --enable-strict-thinking SGLang takes the cap and does nothing, and says nothing: compare the counts.
"""

import sys

import httpx

from lcpo import Budget, render


def ask(url: str, model: str, question: str, tokens: int) -> dict[str, object]:
    """The answer, what was asked and what was used, in tokens."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question + render(Budget("exact", tokens))}],
        "custom_params": {"thinking_budget": tokens},
        "max_tokens": tokens + 512,
    }
    answer = httpx.post(url + "/chat/completions", json=body, timeout=600).raise_for_status().json()
    usage = answer["usage"]
    details = usage.get("completion_tokens_details") or {}
    used = details.get("reasoning_tokens", usage.get("reasoning_tokens"))
    return {"answer": answer["choices"][0]["message"]["content"], "asked": tokens, "used": used}


if __name__ == "__main__":
    print(ask(*sys.argv[1:4], int(sys.argv[4])))
