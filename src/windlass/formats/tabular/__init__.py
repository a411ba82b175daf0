"""Models over rows of numbers: scikit-learn and boosted trees, which become ONNX."""
