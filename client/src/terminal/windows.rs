//! The console of a Windows session. It is spoken to in UTF-16, whatever code page it has.

#![allow(
    unsafe_code,
    reason = "modes, keys and text of a console are those of the Windows API"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::windows::io::{AsRawHandle as _, RawHandle};
use std::ptr::{null, null_mut};

use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, ENABLE_PROCESSED_OUTPUT, ENABLE_VIRTUAL_TERMINAL_INPUT,
    ENABLE_VIRTUAL_TERMINAL_PROCESSING, FlushConsoleInputBuffer, GetConsoleMode,
    GetConsoleScreenBufferInfo, ReadConsoleW, SetConsoleMode, WriteConsoleW,
};
use zeroize::Zeroize as _;

/// The console, without echo, line editing and interrupts until it is dropped.
pub(crate) struct Terminal {
    keyboard: File,
    screen: File,
    before: (u32, u32),
    /// The first half of a character of which the second has not been read yet.
    half: Option<u16>,
}

impl Terminal {
    /// Opens the console: stdin and stdout may lead elsewhere.
    pub(crate) fn open() -> io::Result<Self> {
        let open = |name: &str| File::options().read(true).write(true).open(name);
        let (keyboard, screen) = (open("CONIN$")?, open("CONOUT$")?);
        let before = (
            mode(keyboard.as_raw_handle())?,
            mode(screen.as_raw_handle())?,
        );
        // None of the modes of line input; arrows as sequences of keys, as a terminal sends them.
        set_mode(keyboard.as_raw_handle(), ENABLE_VIRTUAL_TERMINAL_INPUT)?;
        let terminal = Self {
            keyboard,
            screen,
            before,
            half: None,
        };
        let sequences = ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        set_mode(terminal.screen.as_raw_handle(), before.1 | sequences)?;
        Ok(terminal)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        let mut info = CONSOLE_SCREEN_BUFFER_INFO::default();
        // SAFETY: the handle is open, and the structure ours.
        let known = unsafe { GetConsoleScreenBufferInfo(self.screen.as_raw_handle(), &mut info) };
        let size = |from: i16, to: i16| usize::try_from(i32::from(to) - i32::from(from) + 1).ok();
        let window = info.srWindow;
        match (
            size(window.Left, window.Right),
            size(window.Top, window.Bottom),
        ) {
            (Some(columns), Some(rows)) if known != 0 => (columns, rows),
            _ => (80, 24),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let (keyboard, screen) = (self.keyboard.as_raw_handle(), self.screen.as_raw_handle());
        // SAFETY: the handle is open. What was typed ahead goes: the rest of a pasted secret must not reach
        // the shell.
        unsafe { FlushConsoleInputBuffer(keyboard) };
        // There is nobody left to tell.
        let _ = set_mode(keyboard, self.before.0);
        let _ = set_mode(screen, self.before.1);
    }
}

impl Read for Terminal {
    /// At most a third of the buffer's length is read: a unit of UTF-16 has up to three bytes in UTF-8.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut units = [0u16; 256];
        let (held, room) = (
            usize::from(self.half.is_some()),
            (buffer.len() / 3).min(255),
        );
        units[0] = self.half.take().unwrap_or_default();
        let mut read = 0;
        // SAFETY: the handle is open, and behind a unit that is held there is room for `room` more.
        let done = unsafe {
            ReadConsoleW(
                self.keyboard.as_raw_handle(),
                units[held..].as_mut_ptr().cast(),
                (room - held) as u32,
                &mut read,
                null(),
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        let mut typed = &units[..held + read as usize];
        if let [rest @ .., last @ 0xd800..=0xdbff] = typed {
            (typed, self.half) = (rest, Some(*last));
        }
        let mut length = 0;
        for character in char::decode_utf16(typed.iter().copied()) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            length += character.encode_utf8(&mut buffer[length..]).len();
        }
        units.zeroize();
        match (length, self.half) {
            // Nothing yet, and nothing would mean the end.
            (0, Some(_)) => self.read(buffer),
            _ => Ok(length),
        }
    }
}

impl Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A character that comes in two parts is not worth waiting for: echoes are byte by byte for ASCII alone.
        let text: Vec<u16> = String::from_utf8_lossy(bytes).encode_utf16().collect();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let mut written = 0;
            // SAFETY: the handle is open, and the text as long as is said.
            let done = unsafe {
                WriteConsoleW(
                    self.screen.as_raw_handle(),
                    rest.as_ptr().cast(),
                    rest.len() as u32,
                    &mut written,
                    null_mut(),
                )
            };
            if done == 0 {
                return Err(io::Error::last_os_error());
            }
            rest = &rest[written as usize..];
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn mode(console: RawHandle) -> io::Result<u32> {
    let mut mode = 0;
    // SAFETY: the handle is open.
    match unsafe { GetConsoleMode(console, &mut mode) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(mode),
    }
}

fn set_mode(console: RawHandle, mode: u32) -> io::Result<()> {
    // SAFETY: the handle is open.
    match unsafe { SetConsoleMode(console, mode) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
