"""What is claimed, reproduced: windlass and its peers, measured side by side in one run."""
