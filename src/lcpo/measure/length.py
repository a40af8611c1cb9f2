"""The length of a response, in tokens, counted from ids: the one ruler of training, evaluation and serving.

response: everything generated up to and with the first EOS: opening tag (if generated), thought, closing tag, answer,
EOS, as the paper counts (arXiv:2503.04697, section 7). thinking: the tokens between the tags, tags not counted; all of
the response before EOS where the closing tag is missing. Padding after EOS never counts; a response cut off by the
generation cap has no EOS and counts whole, so its length is the cap. A tag that the template put into the prompt is not
part of the response and is not counted. A token that holds any character of a tag is the tag's, whatever else it holds
(lcpo.thinking.split_ids).
"""

from collections.abc import Sequence

from lcpo.thinking import Marks, split_ids
from lcpo.types import Scope


def length(ids: Sequence[int], marks: Marks, scope: Scope = "response") -> int:
    """Tokens of a response within `scope`."""
    parts = split_ids(ids, marks)
    return parts.response if scope == "response" else parts.thinking
