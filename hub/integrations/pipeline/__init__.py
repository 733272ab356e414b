"""The way of one call: a chain of small links, what an answer means, and what follows from it."""
