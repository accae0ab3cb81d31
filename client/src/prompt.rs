//! Questions to the person at the terminal. They are asked on `/dev/tty`, so that an answer on
//! stdout stays clean.

use std::io::{self, IsTerminal as _, Read, Write};

use hfd_proto::{Error, Kind, escape};
use zeroize::Zeroizing;

use crate::Context;
use crate::stdin::MAX_INPUT;
use crate::terminal::{Key, Keys, Terminal};

/// Rows of a menu that are shown at once; the rest scrolls.
const MENU_ROWS: usize = 12;

/// The longest line that is asked for, in bytes: a token's name.
const MAX_LINE: usize = 255;

/// Whether a person is there to be asked, and may be.
pub(crate) fn possible(context: &Context) -> bool {
    !context.no_input && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a secret; nothing of it is shown.
pub(crate) fn hidden(question: &str) -> Result<Zeroizing<String>, Error> {
    with_terminal(|terminal| {
        write!(terminal, "{question}")?;
        let answer = read_hidden(terminal);
        writeln!(terminal)?;
        answer
    })
}

/// Asks a question of yes or no; no is the default.
pub(crate) fn confirm(question: &str) -> Result<bool, Error> {
    with_terminal(|terminal| {
        write!(terminal, "{} [y/N] ", escape(question))?;
        let yes = read_yes(terminal)?;
        writeln!(terminal, "{}", if yes { "yes" } else { "no" })?;
        Ok(yes)
    })
}

/// Asks for a line, which is shown as it is typed, below lines that say what about (already escaped).
pub(crate) fn line(about: &[String], question: &str) -> Result<String, Error> {
    with_terminal(|terminal| {
        for line in about {
            writeln!(terminal, "{line}")?;
        }
        write!(terminal, "{question}")?;
        let answer = read_shown(terminal);
        writeln!(terminal)?;
        answer
    })
}

/// Lets the person choose one of `items` (not empty, already escaped); `start` is marked first.
pub(crate) fn pick(title: &str, items: &[String], start: usize) -> Result<usize, Error> {
    with_terminal(|terminal| {
        let (columns, rows) = terminal.size();
        let height = MENU_ROWS.min(rows.saturating_sub(2)).max(1);
        choose(terminal, &Menu::new(title, items, columns, height), start)
    })
}

fn with_terminal<T>(ask: impl FnOnce(&mut Terminal) -> io::Result<T>) -> Result<T, Error> {
    let outcome = Terminal::open().and_then(|mut terminal| ask(&mut terminal));
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Error::new(Kind::Interrupted, "interrupted"),
        _ => Error::new(Kind::Other, format!("cannot ask at the terminal: {error}")),
    })
}

fn interrupted() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

fn read_hidden(source: &mut impl Read) -> io::Result<Zeroizing<String>> {
    // Room for all of it at once: growing would leave copies behind.
    let mut typed = Zeroizing::new(Vec::with_capacity(MAX_INPUT));
    let mut keys = Keys::default();
    loop {
        match keys.next(source)? {
            Key::Enter => break,
            Key::Interrupt | Key::End => return Err(interrupted()),
            Key::Backspace => {
                typed.pop();
            }
            Key::Clear => typed.clear(),
            Key::Byte(byte) if typed.len() < MAX_INPUT => typed.push(byte),
            _ => {}
        }
    }
    // What is not UTF-8 is no token; the parser of tokens says so.
    Ok(Zeroizing::new(String::from_utf8_lossy(&typed).into_owned()))
}

fn read_shown(terminal: &mut (impl Read + Write)) -> io::Result<String> {
    let (mut typed, mut keys) = (Vec::new(), Keys::default());
    loop {
        match keys.next(terminal)? {
            Key::Enter => return Ok(String::from_utf8_lossy(&typed).into_owned()),
            Key::Interrupt | Key::End | Key::Escape => return Err(interrupted()),
            Key::Backspace => {
                // The rest of a character of several bytes shows nothing.
                let had = !typed.is_empty();
                while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
                if had {
                    write!(terminal, "\u{8} \u{8}")?;
                }
            }
            Key::Byte(byte) if byte >= b' ' && typed.len() < MAX_LINE => {
                typed.push(byte);
                terminal.write_all(&[byte])?;
            }
            _ => {}
        }
    }
}

fn read_yes(source: &mut impl Read) -> io::Result<bool> {
    let mut keys = Keys::default();
    loop {
        match keys.next(source)? {
            Key::Byte(b'y' | b'Y') => return Ok(true),
            Key::Byte(b'n' | b'N') | Key::Enter | Key::Escape => return Ok(false),
            Key::Interrupt | Key::End => return Err(interrupted()),
            _ => {}
        }
    }
}

struct Menu<'a> {
    title: &'a str,
    items: &'a [String],
    columns: usize,
    height: usize,
}

impl<'a> Menu<'a> {
    fn new(title: &'a str, items: &'a [String], columns: usize, height: usize) -> Self {
        let height = height.min(items.len());
        Self {
            title,
            items,
            columns,
            height,
        }
    }

    /// The rows around `chosen`, a line each, cut to the width of the terminal: a line that wraps
    /// would spoil the redrawing.
    fn draw(&self, chosen: usize, out: &mut impl Write) -> io::Result<()> {
        let last_first = self.items.len() - self.height;
        let first = chosen.saturating_sub(self.height / 2).min(last_first);
        for (offset, item) in self.items[first..first + self.height].iter().enumerate() {
            let mark = if first + offset == chosen { ">" } else { " " };
            let room = self.columns.saturating_sub(3);
            let item: String = item.chars().take(room).collect();
            writeln!(out, "{mark} {item}")?;
        }
        out.flush()
    }

    /// Back to where the rows begin, and clear from there.
    fn erase(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "\u{1b}[{}A\r\u{1b}[J", self.height)
    }
}

fn choose(terminal: &mut (impl Read + Write), menu: &Menu<'_>, start: usize) -> io::Result<usize> {
    let (count, mut keys) = (menu.items.len(), Keys::default());
    let mut chosen = start.min(count - 1);
    let hint = "arrows, j and k or a number, then Enter";
    writeln!(terminal, "{} ({hint})", menu.title)?;
    menu.draw(chosen, terminal)?;
    loop {
        let key = keys.next(terminal)?;
        chosen = match key {
            Key::Up | Key::Byte(b'k') => (chosen + count - 1) % count,
            Key::Down | Key::Byte(b'j') => (chosen + 1) % count,
            Key::Byte(digit @ b'1'..=b'9') if usize::from(digit - b'1') < count => {
                usize::from(digit - b'1')
            }
            Key::Enter => return Ok(chosen),
            Key::Interrupt | Key::End | Key::Escape | Key::Byte(b'q') => {
                return Err(interrupted());
            }
            _ => continue,
        };
        menu.erase(terminal)?;
        menu.draw(chosen, terminal)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal with a person who has typed everything already.
    struct Typed<'a> {
        input: &'a [u8],
        screen: Vec<u8>,
    }

    impl Read for Typed<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.input.read(buffer)
        }
    }

    impl Write for Typed<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.screen.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn typed(input: &[u8]) -> Typed<'_> {
        Typed {
            input,
            screen: Vec::new(),
        }
    }

    #[test]
    fn a_hidden_answer_can_be_corrected_and_interrupted() {
        let answer = |input| read_hidden(&mut typed(input)).map(|answer| answer.to_string());
        assert_eq!(answer(b"hf_x\x7fa\x1b[A\r").unwrap(), "hf_a");
        assert_eq!(answer(b"wrong\x15hf_a\n").unwrap(), "hf_a");
        for gone in [&b"hf_a\x03"[..], b"hf_a\x04", b"hf_a"] {
            assert_eq!(answer(gone).unwrap_err().kind(), io::ErrorKind::Interrupted);
        }
    }

    #[test]
    fn a_long_paste_is_taken_whole() {
        let mut input = vec![b'x'; 16 * 1024];
        input.push(b'\r');
        assert_eq!(read_hidden(&mut typed(&input)).unwrap().len(), 16 * 1024);
    }

    #[test]
    fn a_shown_answer_can_be_corrected() {
        let mut terminal = typed("wü\x7f\x7fyes\x07\r".as_bytes());
        assert_eq!(read_shown(&mut terminal).unwrap(), "yes");
        let screen = String::from_utf8(terminal.screen).unwrap();
        assert_eq!(screen, "wü\u{8} \u{8}\u{8} \u{8}yes");
        assert_eq!(read_shown(&mut typed(b"\x7f\r")).unwrap(), "");
        assert!(read_shown(&mut typed(b"yes\x03")).is_err());
    }

    #[test]
    fn only_yes_is_yes() {
        let answer = |input| read_yes(&mut typed(input));
        assert!(answer(b"xY").unwrap());
        assert!(!answer(b"\r").unwrap());
        assert!(!answer(b"n").unwrap());
        assert!(answer(b"\x03").is_err());
    }

    #[test]
    fn a_menu_goes_round_and_scrolls() {
        let items: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let menu = Menu::new("Which?", &items, 80, 2);
        let pick = |input, start| choose(&mut typed(input), &menu, start);
        assert_eq!(pick(b"\r", 2).unwrap(), 2);
        assert_eq!(pick(b"\x1b[B\x1b[B\r", 0).unwrap(), 2);
        assert_eq!(pick(b"k\r", 0).unwrap(), 3);
        // There is no ninth.
        assert_eq!(pick(b"39\r", 0).unwrap(), 2);
        assert_eq!(
            pick(b"q", 0).unwrap_err().kind(),
            io::ErrorKind::Interrupted
        );
        let mut terminal = typed(b"\x1b[A\r");
        choose(&mut terminal, &menu, 0).unwrap();
        let screen = String::from_utf8(terminal.screen).unwrap();
        assert_eq!(
            screen,
            "Which? (arrows, j and k or a number, then Enter)\n> a\n  b\n\u{1b}[2A\r\u{1b}[J  c\n> d\n"
        );
    }
}
