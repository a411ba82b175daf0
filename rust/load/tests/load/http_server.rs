//! A server of HTTP/1.1 whose every answer is decided by the test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use socket2::SockRef;

/// An answer of four bytes.
pub(crate) const FINE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How many came before it, over all connections.
    pub(crate) number: usize,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
    Reset,
}

/// Listens until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers with what `answer` writes.
    pub(crate) fn start<F>(answer: F) -> Self
    where
        F: Fn(&Asked, &mut TcpStream) -> io::Result<After> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let closing = Arc::new(AtomicBool::new(false));
        let (answer, count, closed) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)), Arc::clone(&closing));
        let listening = thread::spawn(move || {
            for stream in listener.incoming().take_while(|_| !closed.load(Ordering::SeqCst)).flatten() {
                let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
                // It ends with the connection.
                thread::spawn(move || serve(stream, &*answer, &count));
            }
        });
        Self { address, closing, listening: Some(listening) }
    }

    /// Answers every request with these bytes.
    pub(crate) fn saying(bytes: &'static [u8], after: After) -> Self {
        Self::start(move |_, stream| stream.write_all(bytes).map(|()| after))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Asked, &mut TcpStream) -> io::Result<After>, count: &AtomicUsize) {
    let _ = stream.set_nodelay(true);
    let Ok(clone) = stream.try_clone() else { return };
    let mut input = BufReader::new(clone);
    while let Ok(Some(mut asked)) = read(&mut input) {
        asked.number = count.fetch_add(1, Ordering::SeqCst);
        match answer(&asked, &mut stream) {
            Ok(After::Keep) => {}
            Ok(After::Reset) => {
                let _ = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
                return;
            }
            Ok(After::Close) | Err(_) => return,
        }
    }
}

fn read(input: &mut BufReader<TcpStream>) -> io::Result<Option<Asked>> {
    let mut asked = Asked::default();
    input.read_line(&mut asked.first_line)?;
    if asked.first_line.is_empty() {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) => asked.headers.push((name.to_lowercase(), value.to_owned())),
        }
    }
    let length = asked.header("content-length").map_or(0, |value| value.parse().expect("a length"));
    asked.body = vec![0; length];
    input.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}
