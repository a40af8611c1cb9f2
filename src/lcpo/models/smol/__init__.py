"""SmolLM2-135M as a reasoner with a budget: its base, and the made-up thoughts that it first learns from."""
