"""Speed and memory of guarded decoding, each figure a ratio of two things measured in turn in one run."""
