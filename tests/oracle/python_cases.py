"""What the code-driven models are sent, and where the two servers are meant to differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """Code for one of the models."""

    name: str
    model: str
    code: str


def _api(**cases: str) -> list[Case]:
    return [Case(name, "api", code) for name, code in cases.items()]


def _cases(model: str, **cases: str) -> list[Case]:
    return [Case(name, model, code) for name, code in cases.items()]


CASES = [
    *_api(
        arguments="out = sorted((k, v) for k, v in self.args.items() if k not in ('model_config', 'model_repository'))",
        argument_types="out = sorted(k + type(v).__name__ for k, v in self.args.items())",
        config="c = json.loads(self.args['model_config']); out = [c['name'], c['input'][0]['dims'], c['max_batch_size']]",
        request_members="out = [request.request_id(), request.correlation_id(), request.flags(), request.timeout(), "
        "sorted(request.requested_output_names()), json.loads(request.parameters())]",
        request_parameters_text="out = type(request.parameters()).__name__",
        is_cancelled="out = request.is_cancelled()",
        set_flags="request.set_flags(3); out = request.flags()",
        trace="out = request.trace().get_context()",
        inputs="out = [(t.name(), list(t.shape()), t.is_cpu()) for t in request.inputs()]",
        missing_input="out = pb_utils.get_input_tensor_by_name(request, 'nope')",
        output_by_name="out = pb_utils.get_output_tensor_by_name(said('a'), 'SAID').as_numpy().tolist()",
        constants="out = [pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START, pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END, "
        "pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL, pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL, "
        "pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE]",
        types="out = [np.dtype(pb_utils.triton_to_numpy_type(n)).name for n in range(1, 14)]",
        type_numbers="out = [pb_utils.numpy_to_triton_type(t) for t in (np.bool_, np.uint8, np.float16, np.float64, np.object_, np.bytes_)]",
        type_names="out = [np.dtype(pb_utils.triton_string_to_numpy(n)).name for n in ('TYPE_BOOL', 'TYPE_FP32', 'TYPE_STRING')]",
        serialise="out = pb_utils.serialize_byte_tensor(np.array(['a', b'bc', ''], dtype=object))",
        serialise_bytes="out = pb_utils.serialize_byte_tensor(np.array([b'a', b'bc']))",
        deserialise="out = pb_utils.deserialize_bytes_tensor(b'\\1\\0\\0\\0a\\0\\0\\0\\0').tolist()",
        model_dir="out = pb_utils.get_model_dir().split('/')[-2:]",
        names="out = [n for n in ('Tensor', 'InferenceRequest', 'InferenceResponse', 'TritonError', 'TritonModelException', 'Logger', "
        "'MetricFamily', 'PreferredMemory', 'ModelConfig', 'load_model', 'unload_model', 'is_model_ready', "
        "'TRITONSERVER_MEMORY_GPU', 'TRITONSERVER_MEMORY_CPU') if not hasattr(pb_utils, n)]",
        c_module="import c_python_backend_utils as c; out = c.Tensor('x', ONE).shape()",
        tensor_without_a_name="out = tried(lambda: pb_utils.Tensor('', ONE))",
        tensor_of_text="out = tried(lambda: pb_utils.Tensor('x', np.array(['a', 'b'])).triton_dtype())",
        tensor_of_bytes="t = pb_utils.Tensor('x', np.array([b'a', b'bc'])); out = t.as_numpy().tolist()",
        tensor_reversed="out = pb_utils.Tensor('x', ONE[::-1]).as_numpy().tolist()",
        tensor_complex="out = tried(lambda: pb_utils.Tensor('x', np.array([1j])))",
        dlpack="out = np.from_dlpack(pb_utils.Tensor('x', ONE)).tolist()",
        dlpack_of_text="out = tried(lambda: pb_utils.Tensor('x', np.array([b'a'], dtype=object)).to_dlpack())",
        dlpack_of_nothing="out = tried(lambda: pb_utils.Tensor.from_dlpack('y', 7))",
        dlpack_device="out = pb_utils.Tensor('x', ONE).__dlpack_device__()",
        errors="e = pb_utils.TritonError('x', pb_utils.TritonError.NOT_FOUND); out = [e.message(), e.code() == pb_utils.TritonError.NOT_FOUND]",
        error_default="out = pb_utils.TritonError('x').code() == pb_utils.TritonError.INTERNAL",
        response_of_none="out = tried(lambda: pb_utils.InferenceResponse([None]))",
        response_error="r = pb_utils.InferenceResponse(error=pb_utils.TritonError('x')); out = [r.has_error(), r.error().message(), r.output_tensors()]",
        answer_error="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so'))]",
        answer_not_found="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.NOT_FOUND))]",
        answer_invalid="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.INVALID_ARG))]",
        answer_unavailable="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.UNAVAILABLE))]",
        answer_unsupported="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.UNSUPPORTED))]",
        answer_exists="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.ALREADY_EXISTS))]",
        answer_cancelled="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.CANCELLED))]",
        answer_unknown="answer = [pb_utils.InferenceResponse(error=pb_utils.TritonError('not so', pb_utils.TritonError.UNKNOWN))]",
        answer_of_text="answer = 'x'",
        answer_too_long="answer = [said('a'), said('b')]",
        answer_of_another_kind="answer = ['x']",
        answer_other_output="answer = [pb_utils.InferenceResponse([tensor('a'), pb_utils.Tensor('OTHER', ONE)])]",
        answer_raised="raise pb_utils.TritonModelException('no')",
        answer_raised_without_text="raise ValueError()",
        bls="out = told(ask('double', ONE).exec())",
        bls_error="out = told(ask('double', -ONE).exec())",
        bls_version="out = told(ask('double', ONE, model_version=1).exec())",
        bls_unknown_version="out = told(ask('double', ONE, model_version=7).exec())",
        bls_unknown_model="out = told(ask('nope', ONE).exec())",
        bls_wrong_type="out = told(ask('double', ONE.astype(np.int32)).exec())",
        bls_wrong_shape="out = told(ask('double', ONE.reshape(1, 2)).exec())",
        bls_no_inputs="out = told(ask('double').exec())",
        bls_unknown_output="out = told(ask('double', ONE, names=['z']).exec())",
        bls_decoupled_unasked="out = tried(lambda: told(ask_code('many', '').exec()))",
        bls_iterated="out = [told(r) for r in ask('double', ONE).exec(decoupled=True)]",
        bls_iterated_error="out = [told(r) for r in ask('nope', ONE).exec(decoupled=True)]",
        bls_members="r = ask_code('api', 'out = [request.request_id(), request.correlation_id(), request.flags(), request.timeout(), "
        "json.loads(request.parameters()), request.requested_output_names()]', request_id='a', correlation_id=7, flags=1, "
        "timeout=99, parameters={'p': 1}); out = [r.request_id(), r.correlation_id(), r.flags(), r.timeout(), json.loads(r.parameters()), "
        "r.requested_output_names(), [t.name() for t in r.inputs()]]",
        bls_correlation="out = tried(lambda: ask('double', ONE, correlation_id=1.5))",
        bls_input_of_none="out = tried(lambda: pb_utils.InferenceRequest(model_name='double', requested_output_names=['y'], inputs=[None], request_id='r'))",
        bls_output_without_a_name="out = tried(lambda: ask('double', ONE, names=['']))",
        bls_parameters_of_floats="out = tried(lambda: ask('double', ONE, parameters={'a': 1.5}))",
        bls_memory="out = told(ask('double', ONE, preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU)).exec())",
        bls_trace="out = told(ask('double', ONE, trace=request.trace()).exec())",
        bls_twice="r = ask('double', ONE); out = [told(r.exec()), told(r.exec())]",
        ready="out = [pb_utils.is_model_ready('double'), pb_utils.is_model_ready('double', '1'), pb_utils.is_model_ready('nope')]",
        ready_version="out = tried(lambda: pb_utils.is_model_ready('double', '9'))",
        load_unknown="out = tried(lambda: pb_utils.load_model('nope'))",
        unload_unknown="out = tried(lambda: pb_utils.unload_model('nope'))",
        load_files="c = json.dumps({'backend': 'python', 'input': [{'name': 'x', 'data_type': 'TYPE_FP32', 'dims': [-1]}], "
        "'output': [{'name': 'y', 'data_type': 'TYPE_FP32', 'dims': [-1]}], 'instance_group': [{'kind': 'KIND_CPU'}]})\n"
        "source = open(self.args['model_repository'] + '/../double/1/model.py', 'rb').read()\n"
        "pb_utils.load_model('new', config=c, files={'file:1/model.py': source})\n"
        "out = [pb_utils.is_model_ready('new'), told(ask('new', ONE).exec())]; pb_utils.unload_model('new')",
        metric="f = pb_utils.MetricFamily(name='f_counter', description='d', kind=pb_utils.MetricFamily.COUNTER)\n"
        "m = f.Metric(labels={'a': '1'}); m.increment(1.5); m.increment(2); out = m.value()",
        metric_falls="f = pb_utils.MetricFamily('f_counter2', 'd', pb_utils.MetricFamily.COUNTER); m = f.Metric(labels={'a': '1'})\n"
        "out = tried(lambda: m.increment(-1))",
        metric_set="f = pb_utils.MetricFamily('f_counter3', 'd', pb_utils.MetricFamily.COUNTER); m = f.Metric(labels={'a': '1'})\n"
        "out = tried(lambda: m.set(1))",
        metric_observed="f = pb_utils.MetricFamily('f_counter4', 'd', pb_utils.MetricFamily.COUNTER); m = f.Metric(labels={'a': '1'})\n"
        "out = tried(lambda: m.observe(1))",
        gauge="f = pb_utils.MetricFamily('f_gauge', 'd', pb_utils.MetricFamily.GAUGE); m = f.Metric(labels={'a': '1'})\n"
        "m.set(5); m.increment(-1.5); out = m.value()",
        gauge_observed="f = pb_utils.MetricFamily('f_gauge2', 'd', pb_utils.MetricFamily.GAUGE); m = f.Metric(labels={'a': '1'})\n"
        "out = tried(lambda: m.observe(1))",
        metric_of_another_kind="f = pb_utils.MetricFamily('f_twice', 'd', pb_utils.MetricFamily.GAUGE)\n"
        "out = tried(lambda: pb_utils.MetricFamily('f_twice', 'd', pb_utils.MetricFamily.COUNTER))",
        metric_twice="f = pb_utils.MetricFamily('f_again', 'd', pb_utils.MetricFamily.GAUGE); a = f.Metric(labels={'a': '1'})\n"
        "b = f.Metric(labels={'a': '1'}); a.set(2); out = b.value()",
        metric_labels="f = pb_utils.MetricFamily('f_labels', 'd', pb_utils.MetricFamily.GAUGE); out = tried(lambda: f.Metric(labels=[1]))",
        metric_no_labels="f = pb_utils.MetricFamily('f_nolabels', 'd', pb_utils.MetricFamily.GAUGE); out = tried(lambda: f.Metric().value())",
        histogram="f = pb_utils.MetricFamily('f_histogram', 'd', pb_utils.MetricFamily.HISTOGRAM)\n"
        "m = f.Metric(labels={'a': '1'}, buckets=[0.1, 1, 10]); m.observe(0.5); m.observe(5); out = 'fine'",
        histogram_value="f = pb_utils.MetricFamily('f_histogram2', 'd', pb_utils.MetricFamily.HISTOGRAM)\n"
        "m = f.Metric(labels={'a': '1'}, buckets=[1]); out = tried(lambda: m.value())",
        histogram_set="f = pb_utils.MetricFamily('f_histogram3', 'd', pb_utils.MetricFamily.HISTOGRAM)\n"
        "m = f.Metric(labels={'a': '1'}, buckets=[1]); out = [tried(lambda: m.set(1)), tried(lambda: m.increment(1))]",
        histogram_without_buckets="f = pb_utils.MetricFamily('f_histogram4', 'd', pb_utils.MetricFamily.HISTOGRAM)\n"
        "out = tried(lambda: f.Metric(labels={}))",
        histogram_of_words="f = pb_utils.MetricFamily('f_histogram5', 'd', pb_utils.MetricFamily.HISTOGRAM)\n"
        "out = tried(lambda: f.Metric(labels={}, buckets='x'))",
        gauge_with_buckets="f = pb_utils.MetricFamily('f_gauge3', 'd', pb_utils.MetricFamily.GAUGE)\n"
        "out = tried(lambda: f.Metric(labels={}, buckets=[1]))",
        logger="l = pb_utils.Logger; l.log_info('a'); l.log_warn('b'); l.log_error('c'); l.log_verbose('d'); l.log('e', l.WARNING); l.log('f'); out = 'fine'",
        release_flags="out = tried(lambda: request.set_release_flags(7))",
        reschedule_and_answer="request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE); answer = [said('a')]",
    ),
    *_cases(
        "async",
        coroutine="await asyncio.sleep(0); return 'done'",
        coroutine_raises="raise ValueError('no')",
        awaited="return told(await ask('double', ONE).async_exec())",
        gathered="return [told(r) for r in await asyncio.gather(*(ask('double', ONE * n).async_exec() for n in range(9)))]",
        awaited_error="return told(await ask('nope', ONE).async_exec())",
        awaited_iterator="return [told(r) for r in await ask_code('many', 'sender.send(said(1)); sender.send(flags=1)').async_exec(decoupled=True)]",
        awaited_decoupled_unasked="return told(await ask_code('many', '').async_exec())",
    ),
    *_cases(
        "collect",
        stream_of_three="for n in range(3): sender.send(said(n))\nsender.send(flags=1)",
        stream_ends_with_an_answer="sender.send(said(1)); sender.send(said(2), flags=1)",
        stream_empty="sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)",
        stream_of_a_thread="def work():\n    for n in range(3): sender.send(said(n))\n    sender.send(flags=1)\nthreading.Thread(target=work).start()",
        stream_after_the_end="sender.send(flags=1); e = tried(lambda: sender.send(said(1))); assert e is None, e",
        stream_end_twice="sender.send(flags=1); e = tried(lambda: sender.send(flags=1)); assert e is None, e",
        stream_unknown_flag="e = tried(lambda: sender.send(said(1), flags=2)); sender.send(said(e), flags=1)",
        stream_nothing="e = tried(lambda: sender.send()); sender.send(said(e), flags=1)",
        stream_returns="sender.send(said(1), flags=1); answer = []",
        stream_returns_first="answer = [said(1)]",
        stream_raises="raise ValueError('no')",
        stream_cancelled="sender.send(said(sender.is_cancelled()), flags=1)",
        stream_other_output="sender.send(pb_utils.InferenceResponse([tensor('a'), pb_utils.Tensor('OTHER', ONE)]), flags=1)",
        stream_same_sender="sender.send(said(request.get_response_sender() is sender), flags=1)",
    ),
]
