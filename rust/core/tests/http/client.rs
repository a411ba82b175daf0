//! A client that can be made to say anything.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// An answer of the server.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn closes(&self) -> bool {
        self.field("Connection") == Some("close")
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    /// What came and is not yet part of an answer.
    rest: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        // A server that hangs fails the test instead of stopping it.
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, rest: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the sending side.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(&request(method, path, fields, body));
        self.receive()
    }

    pub(crate) fn receive(&mut self) -> Answer {
        self.try_receive().expect("an answer")
    }

    /// The next answer; `None` when the server hangs up instead.
    pub(crate) fn try_receive(&mut self) -> Option<Answer> {
        let mut answer = self.head()?;
        if answer.field("Transfer-Encoding") == Some("chunked") {
            while let Some(part) = self.part() {
                answer.body.extend_from_slice(&part);
            }
            return Some(answer);
        }
        let length = answer.field("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        answer.body = self.take(length);
        Some(answer)
    }

    /// The next answer without its body.
    pub(crate) fn head(&mut self) -> Option<Answer> {
        let head = self.until(b"\r\n\r\n")?;
        let head = String::from_utf8(head).expect("a head is a text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        Some(Answer {
            status: status.unwrap_or_else(|| panic!("a status line, not {head}")),
            fields: lines.map(|line| split(line).expect("a name and a value")).collect(),
            body: Vec::new(),
        })
    }

    /// The next chunk of a body; `None` at its end.
    pub(crate) fn part(&mut self) -> Option<Vec<u8>> {
        let line = self.until(b"\r\n").expect("the size of a chunk");
        let size = std::str::from_utf8(&line).expect("a text").trim_end();
        let size = usize::from_str_radix(size, 16).expect("a number");
        let part = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        (size > 0).then_some(part)
    }

    /// All that comes until the server hangs up.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read() {}
        std::mem::take(&mut self.rest)
    }

    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.rest.windows(mark.len()).position(|window| window == mark) {
                return Some(self.rest.drain(..end + mark.len()).collect());
            }
            if !self.read() {
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        while self.rest.len() < length {
            assert!(self.read(), "the body is cut off");
        }
        self.rest.drain(..length).collect()
    }

    /// Whether the server hangs up without another word.
    pub(crate) fn is_hung_up(&mut self) -> bool {
        self.rest.is_empty() && !self.read()
    }

    fn read(&mut self) -> bool {
        let mut part = vec![0; 65536];
        match self.stream.read(&mut part) {
            Ok(0) => false,
            Ok(count) => {
                self.rest.extend_from_slice(&part[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("the server hangs: {error}"),
        }
    }
}

/// The text of a request.
pub(crate) fn request(method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut lines = vec![format!("{method} {path} HTTP/1.1"), "Host: test".to_owned()];
    lines.extend(fields.iter().map(|(name, value)| format!("{name}: {value}")));
    if method != "GET" && !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("Transfer-Encoding")) {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body].concat()
}
