"""What PyTorch writes, or what it is written from: files, code that builds modules, weights."""
