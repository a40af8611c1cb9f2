"""s1_l1: budget forcing as L1's authors ran it (cmu-l3/l1, scripts/baselines/eval_s1.py), handicaps and all.

- the prompt has a line break after the user marker that the model's template has not;
- the stops are the tokens of "<|im_start|><|im_end|>", which in the vocabulary of DeepSeek-R1-Distill are no markers
  but ordinary pieces ("<", "|", ...), so that a formula may end a thought, and "Wait" follows;
- "Wait" comes up to 100 times, until exactly B tokens are generated; it is not counted in B. The closing tag is no
  stop: the model may close, answer and end, and is made to go on after that;
- then "\\n<｜User｜>The final Answer is:", a user's turn within the thought and no closing tag, and 20 greedy tokens
  up to a line break;
- graded is prompt and response as one text, so that a box in the thought counts.

It is here so that the published comparison can be understood; as a baseline use s1_fair.
"""

from dataclasses import dataclass

from lcpo.decode.base import Ask, Method, ResponseBuilder, Steps
from lcpo.engines.base import Segment

USER, ASSISTANT, BEGIN = "<｜User｜>", "<｜Assistant｜>", "<｜begin▁of▁sentence｜>"
STOPS = "<|im_start|><|im_end|>"
CLOSING = f"\n{USER}The final Answer is:"
ANSWER_TOKENS = 20


@dataclass(frozen=True)
class S1L1(Method):
    """B tokens of thought, then 20 of answer; real models with DeepSeek's chat markers."""

    name: str = "s1_l1"
    waits: int = 100
    about = "budget forcing as L1's authors ran it, handicaps and all"
    scope = "thinking"
    needs_prefix = True
    needs_ids = True

    def steps(self, ask: Ask) -> Steps:
        """Decodes one response."""
        prompt = Segment(None, f"{BEGIN}{USER}\n{ask.start().request(1).prompt_text}{ASSISTANT}<think>\n")
        draft = ResponseBuilder(ask, prompt)
        stops = ask.engine.encode(STOPS).ids or ()
        left, least = ask.tokens, 0
        for turn in range(self.waits + 1):
            (generation,) = yield [draft.request(left, stop_ids=stops, min_tokens=least)]
            draft.take(generation, drop_stop=generation.finish != "length")
            left -= generation.tokens or 0
            if left <= 0 or turn == self.waits:
                break
            draft.insert("Wait")
            least = 1
        draft.insert(CLOSING)
        (generation,) = yield [draft.request(ANSWER_TOKENS, stop=("\n",), temperature=0.0)]
        draft.take(generation)
        return draft.done(thinking=False, graded=prompt.text + draft.written.text, planned_end=True)
