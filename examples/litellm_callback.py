"""A budget in front of any model that LiteLLM routes to: the sentence goes into the prompt, the number into the log.

In LiteLLM's config:   litellm_settings: {callbacks: examples.litellm_callback.budgets}
A client then sends    {"thinking_token_budget": 64, ...}   to the proxy. LiteLLM sees text and not tokens, so that this
asks and counts, and cannot close a thought: put `lcpo serve --upstream` behind LiteLLM for that.
"""

from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from lcpo import Budget, render


class Budgets(CustomLogger):
    """Adds the budget sentence that the model was trained on."""

    async def async_pre_call_hook(self, key: Any, cache: Any, data: dict[str, Any], call_type: str) -> dict[str, Any]:
        """Before the call: the sentence at the end of the user's last message."""
        tokens = data.get("thinking_token_budget")
        turns = [turn for turn in data.get("messages", ()) if turn["role"] == "user"]
        if type(tokens) is int and tokens > 0 and turns and isinstance(turns[-1]["content"], str):
            turns[-1]["content"] += render(Budget("exact", tokens))
        return data

    async def async_post_call_success_hook(self, data: dict[str, Any], key: Any, response: Any) -> Any:
        """After it: what was asked stands beside what was used."""
        details = getattr(getattr(response, "usage", None), "completion_tokens_details", None)
        if details is not None and "thinking_token_budget" in data:
            details.budget_tokens = data["thinking_token_budget"]
        return response


budgets = Budgets()
