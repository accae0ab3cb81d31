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

/// Lets the person choose one of a few `items` (not empty, already escaped); `start` is marked first.
pub(crate) fn pick(title: &str, items: &[String], start: usize) -> Result<usize, Error> {
    pick_as(title, items, start, false)
}

/// The same of many: what is typed leaves those that have it.
pub(crate) fn find(title: &str, items: &[String], start: usize) -> Result<usize, Error> {
    pick_as(title, items, start, true)
}

fn pick_as(title: &str, items: &[String], start: usize, filters: bool) -> Result<usize, Error> {
    with_terminal(|terminal| {
        let (columns, rows) = terminal.size();
        let height = MENU_ROWS.min(rows.saturating_sub(3)).max(1);
        let menu = Menu {
            title,
            items,
            columns,
            height,
            filters,
        };
        choose(terminal, &menu, start)
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
            Key::Backspace if edited(&mut typed, Key::Backspace) => {
                write!(terminal, "\u{8} \u{8}")?;
            }
            key @ Key::Byte(byte) if edited(&mut typed, key) => terminal.write_all(&[byte])?,
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
    /// What is typed is looked for, and is no key.
    filters: bool,
}

/// What is typed, what has it, and which of that is marked.
struct Choice {
    typed: Vec<u8>,
    found: Vec<usize>,
    marked: usize,
}

impl Menu<'_> {
    /// What has been typed, on a line of its own, and the rows around the marked one, each cut to the width of
    /// the terminal: a line that wraps would spoil the redrawing. How many lines that are.
    fn draw(&self, choice: &Choice, out: &mut impl Write) -> io::Result<usize> {
        let height = self.height.min(choice.found.len());
        let last_first = choice.found.len() - height;
        let first = choice.marked.saturating_sub(height / 2).min(last_first);
        let mut lines = height;
        if !choice.typed.is_empty() {
            let typed = escape(&String::from_utf8_lossy(&choice.typed));
            let none = if choice.found.is_empty() {
                "  (none)"
            } else {
                ""
            };
            let line = format!("/{typed}{none}");
            writeln!(out, "{}", self.cut(&line, 1))?;
            lines += 1;
        }
        for (offset, item) in choice.found[first..first + height].iter().enumerate() {
            let mark = if first + offset == choice.marked {
                ">"
            } else {
                " "
            };
            writeln!(out, "{mark} {}", self.cut(&self.items[*item], 3))?;
        }
        out.flush()?;
        Ok(lines)
    }

    fn cut(&self, text: &str, less: usize) -> String {
        let room = self.columns.saturating_sub(less);
        text.chars().take(room).collect()
    }

    /// The items that have what is typed, whatever the case.
    fn found(&self, typed: &[u8]) -> Vec<usize> {
        let typed = String::from_utf8_lossy(typed).to_lowercase();
        let items = self.items.iter().enumerate();
        let found = items.filter(|(_, item)| item.to_lowercase().contains(&typed));
        found.map(|(index, _)| index).collect()
    }
}

/// Back to where the lines begin, and clear from there.
fn erase(lines: usize, out: &mut impl Write) -> io::Result<()> {
    match lines {
        0 => Ok(()),
        _ => write!(out, "\u{1b}[{lines}A\r\u{1b}[J"),
    }
}

fn choose(terminal: &mut (impl Read + Write), menu: &Menu<'_>, start: usize) -> io::Result<usize> {
    let mut keys = Keys::default();
    let mut choice = Choice {
        typed: Vec::new(),
        found: (0..menu.items.len()).collect(),
        marked: start.min(menu.items.len() - 1),
    };
    let hint = match menu.filters {
        true => "type to find, arrows, then Enter",
        false => "arrows, j and k or a number, then Enter",
    };
    writeln!(terminal, "{} ({hint})", menu.title)?;
    let mut lines = menu.draw(&choice, terminal)?;
    loop {
        let key = keys.next(terminal)?;
        let count = choice.found.len();
        match key {
            Key::Interrupt | Key::End => return Err(interrupted()),
            Key::Escape if choice.typed.is_empty() => return Err(interrupted()),
            Key::Enter => match choice.found.get(choice.marked) {
                Some(chosen) => return Ok(*chosen),
                None => continue,
            },
            Key::Up if count > 0 => choice.marked = (choice.marked + count - 1) % count,
            Key::Down if count > 0 => choice.marked = (choice.marked + 1) % count,
            _ if menu.filters => {
                if !edited(&mut choice.typed, key) {
                    continue;
                }
                let marked = choice.found.get(choice.marked).copied();
                choice.found = menu.found(&choice.typed);
                let again = choice.found.iter().position(|item| Some(*item) == marked);
                choice.marked = again.unwrap_or(0);
            }
            Key::Byte(b'q') => return Err(interrupted()),
            Key::Byte(b'k') => choice.marked = (choice.marked + count - 1) % count,
            Key::Byte(b'j') => choice.marked = (choice.marked + 1) % count,
            Key::Byte(digit @ b'1'..=b'9') if usize::from(digit - b'1') < count => {
                choice.marked = usize::from(digit - b'1');
            }
            _ => continue,
        }
        erase(lines, terminal)?;
        lines = menu.draw(&choice, terminal)?;
    }
}

/// A line that is typed, after one more key. Whether it changed.
fn edited(typed: &mut Vec<u8>, key: Key) -> bool {
    match key {
        Key::Byte(byte) if byte >= b' ' && typed.len() < MAX_LINE => typed.push(byte),
        Key::Backspace => {
            let had = !typed.is_empty();
            // The rest of a character of several bytes shows nothing.
            while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            return had;
        }
        Key::Clear | Key::Escape if !typed.is_empty() => typed.clear(),
        _ => return false,
    }
    true
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
        let menu = Menu {
            title: "Which?",
            items: &items,
            columns: 80,
            height: 2,
            filters: false,
        };
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

    #[test]
    fn what_is_typed_is_found() {
        let items: Vec<String> = ["ci", "Work (alice)", "play", "workshop"]
            .map(str::to_owned)
            .to_vec();
        let menu = Menu {
            title: "Which?",
            items: &items,
            columns: 80,
            height: 3,
            filters: true,
        };
        let pick = |input, start| choose(&mut typed(input), &menu, start);
        assert_eq!(pick(b"work\r", 0).unwrap(), 1);
        assert_eq!(pick(b"work\x1b[B\r", 0).unwrap(), 3);
        assert_eq!(
            pick(b"works\x7f\x7f\r", 0).unwrap(),
            3,
            "the marked one stays marked"
        );
        assert_eq!(
            pick(b"zzz\r\x15pl\r", 0).unwrap(),
            2,
            "nothing is no answer"
        );
        assert!(pick(b"q\x1b", 0).is_err(), "at the end of the input");
        assert!(pick(b"\x03", 0).is_err());
        let mut terminal = typed(b"LI\r");
        choose(&mut terminal, &menu, 2).unwrap();
        let screen = String::from_utf8(terminal.screen).unwrap();
        assert!(
            screen.ends_with("\u{1b}[3A\r\u{1b}[J/LI\n> Work (alice)\n"),
            "{screen:?}"
        );
    }
}
