"""What bounds calls across all workers: rates, calls at once, answers that are kept. In Redis; rebuildable."""
