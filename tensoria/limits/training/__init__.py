"""Training unrolled into programs, and its limits: feature learning, or a kernel's."""
