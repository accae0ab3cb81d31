//! The least that a client can do: connects to the socket of its first argument, reads the hello,
//! sends its second argument as the request, prints the token of the reply. `hfd token` is measured
//! against it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(socket), Some(mut request)) = (arguments.next(), arguments.next()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut stream = UnixStream::connect(socket)?;
    let mut line = [0; 4096];
    read_line(&mut stream, &mut line)?;
    request.push('\n');
    stream.write_all(request.as_bytes())?;
    let reply = read_line(&mut stream, &mut line)?;
    let value = token(reply).ok_or(io::ErrorKind::InvalidData)?;
    io::stdout().write_all(&[value, b"\n"].concat())
}

fn read_line<'a>(stream: &mut UnixStream, line: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut length = 0;
    loop {
        match stream.read(&mut line[length..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
        if line[length - 1] == b'\n' {
            return Ok(&line[..length - 1]);
        }
    }
}

fn token(reply: &[u8]) -> Option<&[u8]> {
    let key = br#""token":""#;
    let start = reply.windows(key.len()).position(|bytes| bytes == key)? + key.len();
    let length = reply[start..].iter().position(|byte| *byte == b'"')?;
    Some(&reply[start..start + length])
}
