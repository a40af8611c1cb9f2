"""A chat template that takes a budget: `thinking_budget` becomes the sentence that ends the user's last message.

It runs wherever Hugging Face chat templates run (transformers, vLLM, SGLang), with nothing of lcpo beside it:
    tokenizer.apply_chat_template(messages, thinking_budget=64, thinking_budget_kind="max")
    {"chat_template_kwargs": {"thinking_budget": 64}}
"""

import json

from lcpo.budgets.prompting import template_named
from lcpo.types import Kind

_START = "{#- thinking_budget (lcpo) -#}"
_END = "{#- end of thinking_budget -#}{{- '' }}"
"""The empty output keeps a line break that the other template may begin with."""
_ADDED = """
{%- if thinking_budget is defined and thinking_budget is not none and thinking_budget != -1 %}
  {%- if thinking_budget is not integer or thinking_budget < 1 %}
    {{- raise_exception('thinking_budget is a whole number from 1 on, or -1 for none; given ' ~ thinking_budget) }}
  {%- endif %}
  {%- set lcpo = namespace(kind=KIND, sentence='', last=-1, turns=[]) %}
  {%- if thinking_budget_kind is defined and thinking_budget_kind is not none %}
    {%- set lcpo.kind = thinking_budget_kind %}
  {%- endif %}
  {%- if lcpo.kind == 'exact' %}
    {%- set lcpo.sentence = EXACT %}
  {%- elif lcpo.kind == 'max' %}
    {%- set lcpo.sentence = MAX %}
  {%- else %}
    {{- raise_exception('thinking_budget_kind is exact or max; given ' ~ lcpo.kind) }}
  {%- endif %}
  {%- for message in messages %}
    {%- if message['role'] == 'user' %}
      {%- set lcpo.last = loop.index0 %}
    {%- endif %}
  {%- endfor %}
  {%- if lcpo.last < 0 %}
    {{- raise_exception('thinking_budget needs a user message to stand in') }}
  {%- endif %}
  {%- for message in messages %}
    {%- if loop.index0 != lcpo.last %}
      {%- set lcpo.turns = lcpo.turns + [message] %}
    {%- elif message['content'] is string %}
      {%- set before = message['content'].removesuffix(lcpo.sentence) %}
      {%- set lcpo.turns = lcpo.turns + [dict(message, content=before ~ lcpo.sentence)] %}
    {%- else %}
      {%- set parts = (message['content'] or []) + [{'type': 'text', 'text': lcpo.sentence}] %}
      {%- set lcpo.turns = lcpo.turns + [dict(message, content=parts)] %}
    {%- endif %}
  {%- endfor %}
  {%- set messages = lcpo.turns %}
{%- endif %}
"""


def with_budget(template: str, wording: str = "l1", kind: Kind = "exact") -> str:
    """A chat template (Jinja) that also takes `thinking_budget` and `thinking_budget_kind` (exact or max).

    A budget is a whole number of tokens and ends the user's last message in the words of `wording`, as
    lcpo.budgets.render writes it; a message that ends with that sentence is left as it is. Without one (or with none
    or -1) nothing changes. kind: where a request gives none. Anything else raises in the template, which servers answer
    with a 400. Raises ConfigError for an unknown wording.
    """
    words = template_named(wording)
    added = _ADDED
    for name, sentence in (("EXACT", words.exact), ("MAX", words.max)):
        before, after = (json.dumps(part) for part in sentence.split("{n}"))
        added = added.replace(name, f"{before} ~ thinking_budget ~ {after}")
    return _START + added.replace("KIND", json.dumps(kind)) + _END + without_budget(template)


def without_budget(template: str) -> str:
    """The template as it was before `with_budget`."""
    return template.partition(_END)[2] if template.startswith(_START) else template
