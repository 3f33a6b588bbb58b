//! One request of HTTP on the standard streams, which are a connection that systemd has
//! accepted.

use super::text::media_type;
use crate::options::Format;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::io::{self, Read, Write};
use std::time::Duration;

/// How long a request's head may be, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// How long the client may take for it, and to read the response.
const LIMIT: Duration = Duration::from_secs(5);

/// Answers one request; `metrics` writes what it asks for.
pub(super) fn serve(metrics: impl FnOnce(Format) -> String) -> io::Result<()> {
    let (input, output) = (io::stdin().lock(), io::stdout().lock());
    // On anything but a socket there is nothing to wait for.
    let _ = set_socket_timeout(&input, Timeout::Recv, Some(LIMIT));
    let _ = set_socket_timeout(&output, Timeout::Send, Some(LIMIT));
    answer(input, output, metrics)
}

fn answer(
    input: impl Read,
    mut output: impl Write,
    metrics: impl FnOnce(Format) -> String,
) -> io::Result<()> {
    let head = read_head(input)?;
    let (status, media_type, body) = match request(&head) {
        Request::Metrics(format) => ("200 OK", media_type(format), metrics(format)),
        Request::Wrong(status) => (status, "text/plain; charset=utf-8", format!("{status}\n")),
    };
    write!(
        output,
        "HTTP/1.0 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    output.flush()
}

fn read_head(mut input: impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_MAX {
        match input.read(&mut buffer)? {
            0 => break,
            length => head.extend_from_slice(buffer.get(..length).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Metrics(Format),
    Wrong(&'static str),
}

fn request(head: &str) -> Request {
    if !head.contains("\r\n\r\n") {
        return Request::Wrong("400 Bad Request");
    }
    let mut lines = head.split("\r\n");
    let first: Vec<_> = lines.next().unwrap_or_default().split(' ').collect();
    let path = match first.as_slice() {
        ["GET", path, version] if version.starts_with("HTTP/") => path,
        [_, _, version] if version.starts_with("HTTP/") => {
            return Request::Wrong("405 Method Not Allowed");
        }
        _ => return Request::Wrong("400 Bad Request"),
    };
    if path.split('?').next() != Some("/metrics") {
        return Request::Wrong("404 Not Found");
    }
    let accepts = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("accept") && value.contains("application/openmetrics-text")
    };
    Request::Metrics(match lines.any(accepts) {
        true => Format::Openmetrics,
        false => Format::Prometheus,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_given_in_the_format_that_is_asked_for() {
        let of = |head: &str| {
            let mut output = Vec::new();
            answer(head.as_bytes(), &mut output, |format| format!("{format:?}\n")).unwrap();
            String::from_utf8(output).unwrap()
        };
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1";
        let text = of(&format!("GET /metrics HTTP/1.1\r\nHost: x\r\nACCEPT: {accept}\r\n\r\n"));
        let expected = "HTTP/1.0 200 OK\r\n\
            Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n\
            Content-Length: 12\r\nConnection: close\r\n\r\nOpenmetrics\n";
        assert_eq!(text, expected);
        let text = of("GET /metrics?x=y HTTP/1.1\r\n\r\n");
        assert!(text.contains("version=0.0.4") && text.ends_with("Prometheus\n"), "{text}");
    }

    #[test]
    fn what_is_not_a_request_for_them_is_refused() {
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
            ("GET /metrics\r\n\r\n", "400 Bad Request"),
            ("GET /metrics HTTP/1.1\r\n", "400 Bad Request"),
            ("\0\u{ff}", "400 Bad Request"),
            ("", "400 Bad Request"),
        ] {
            assert_eq!(request(head), Request::Wrong(status), "{head:?}");
        }
        let endless = io::repeat(b'x');
        assert_eq!(read_head(endless).unwrap().len(), HEAD_MAX);
    }
}
