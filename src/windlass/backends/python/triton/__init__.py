"""What ``triton_python_backend_utils`` offers to models, one noun to a file."""
