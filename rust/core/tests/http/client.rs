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
        let end = loop {
            if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.read() {
                return None;
            }
        };
        let head: Vec<u8> = self.rest.drain(..end).collect();
        let head = String::from_utf8(head).expect("a head is a text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut answer = Answer {
            status: status.unwrap_or_else(|| panic!("a status line, not {head}")),
            fields: lines.map(|line| split(line).expect("a name and a value")).collect(),
            body: Vec::new(),
        };
        let length = answer.field("Content-Length").map_or(0, |length| length.parse().expect("a number"));
        while self.rest.len() < length {
            assert!(self.read(), "the body of {head} is cut off");
        }
        answer.body = self.rest.drain(..length).collect();
        Some(answer)
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
