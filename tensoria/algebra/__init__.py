"""Operations of tensor algebra that are built from contraction, one idea a file."""
