"""What /metrics says: tokens asked, used and saved, budgets that were not kept, times, and the queue."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lcpo.serve.calls import Outcome, Plan

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The counters of one server. unbudgeted: tokens of a response without a budget, by model, where measured."""

    def __init__(self, unbudgeted: dict[str, float]) -> None:
        self.unbudgeted = unbudgeted
        self.registry = CollectorRegistry()
        r = self.registry
        self.requests = Counter("lcpo_requests", "Requests that were answered.", ["model", "status"], registry=r)
        self.asked = Counter("lcpo_budget_tokens", "Tokens of all budgets that were applied.", ["model"], registry=r)
        self.used = Counter("lcpo_completion_tokens", "Tokens of all responses.", ["model"], registry=r)
        self.thought = Counter("lcpo_reasoning_tokens", "Tokens of all thoughts.", ["model"], registry=r)
        self.forced = Counter("lcpo_forced_tokens", "Tokens that closed a thought.", ["model"], registry=r)
        self.saved = Counter("lcpo_saved_tokens", "Tokens below the mean without a budget.", ["model"], registry=r)
        self.over = Counter(
            "lcpo_budget_violations", "Responses that used more than their budget.", ["model"], registry=r
        )
        self.ends = Counter("lcpo_thinking_finish", "How thoughts ended.", ["model", "finish"], registry=r)
        self.seconds = Histogram("lcpo_response_seconds", "Time to the end.", ["model"], buckets=SECONDS, registry=r)
        self.first = Histogram("lcpo_first_token_seconds", "Time to the first.", ["model"], buckets=SECONDS, registry=r)
        self.running = Gauge("lcpo_running", "Responses that run or wait for their place.", registry=r)

    def record(self, model: str, plan: Plan, outcome: Outcome, seconds: float, first: float) -> None:
        """Counts a response that ended."""
        self.requests.labels(model, "ok").inc()
        self.seconds.labels(model).observe(seconds)
        self.first.labels(model).observe(first)
        self.used.labels(model).inc(outcome.tokens or 0)
        self.thought.labels(model).inc(outcome.reasoning_tokens or 0)
        self.forced.labels(model).inc(outcome.forced)
        if outcome.thinking_finish is not None:
            self.ends.labels(model, outcome.thinking_finish).inc()
        if plan.budget is None:
            return
        used = outcome.reasoning_tokens if plan.scope == "thinking" else outcome.tokens
        self.asked.labels(model).inc(plan.budget)
        self.over.labels(model).inc(int(used is not None and used > plan.budget))
        if model in self.unbudgeted:
            self.saved.labels(model).inc(max(0.0, self.unbudgeted[model] - (outcome.tokens or 0)))

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return generate_latest(self.registry)
