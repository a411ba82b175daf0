"""``windlass demo``: the whole product in half a minute, on real images."""

import signal

import click

from windlass.cli import output


@click.command()
@click.option("--torch", "with_torch", is_flag=True, help="Add a TorchScript model, and fail where PyTorch is missing.")
@click.option("--keep", is_flag=True, help="Stay up afterwards, and print a request to try.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option("--http-port", default=0, help="Port of REST; 0 takes a free one.")
@click.option("--grpc-port", default=0, help="Port of gRPC; 0 takes a free one.")
def demo(with_torch: bool, keep: bool, as_json: bool, http_port: int, grpc_port: int) -> None:
    """Train small models on scikit-learn's handwritten digits, serve them, and send the held-out images."""
    from windlass.demo.run import rounds, served

    with served(with_torch=with_torch, http_port=http_port, grpc_port=grpc_port, tell=output.progress) as session:
        figures = list(rounds(session, output.progress))
        if as_json:
            output.as_json({"http": session.server.url("http"), "grpc": session.server.url("grpc"), "figures": figures})
        else:
            columns = ("model", "backend", "protocol", "images", "accuracy", "images/s", "p50 ms", "p99 ms")
            output.table(columns, [_row(figure) for figure in figures])
        if keep:
            output.result(f"\nserving on {session.server.url('http')}; try:\n\n{session.curl()}\n\nCtrl-C ends it.")
            _wait()


def _row(figure: dict[str, object]) -> tuple[str, ...]:
    rate, p50, p99 = (float(str(figure[key])) for key in ("images_per_second", "p50_ms", "p99_ms"))
    names = (str(figure[key]) for key in ("model", "backend", "protocol", "images"))
    return (*names, f"{float(str(figure['accuracy'])):.1%}", f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}")


def _wait() -> None:
    try:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    except KeyboardInterrupt:
        return
