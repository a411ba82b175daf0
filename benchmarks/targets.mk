.PHONY: bench oracle perf-analyzer

bench: $(VENV)/.built $(VENV)/.test ## measure windlass and its peers side by side (20 minutes; BENCH='--only rest')
	$(BIN)/python -m pip install --quiet matplotlib
	$(BIN)/python -m benchmarks.run $(BENCH)

oracle: $(VENV)/.built $(VENV)/.test ## install the real Triton and compare answers with it
	$(BIN)/python -c 'from benchmarks.peers import environment; environment("triton")'
	$(BIN)/python -m pytest tests/oracle

perf-analyzer: $(VENV)/.built $(VENV)/.test ## install Triton's load generator and run it in every mode it has
	$(BIN)/python -c 'from benchmarks.peers import perf_analyzer; perf_analyzer()'
	$(BIN)/python -m pytest tests/perf_analyzer
