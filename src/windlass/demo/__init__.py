"""A demonstration on real data: models trained here and now, served, asked and measured."""
