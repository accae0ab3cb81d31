//! Values of the person's part of the registry (`HKEY_CURRENT_USER`).

use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS, WIN32_ERROR};
use windows_sys::Win32::System::Registry::{
    HKEY_CURRENT_USER, REG_SZ, RRF_RT_REG_BINARY, RRF_RT_REG_SZ, RegDeleteKeyValueW, RegGetValueW,
    RegSetKeyValueW,
};

/// A value of text; `None` where there is none.
pub(crate) fn text(key: &str, name: &str) -> io::Result<Option<String>> {
    let bytes = get(key, name, RRF_RT_REG_SZ)?;
    Ok(bytes.map(|bytes| {
        let units = bytes.chunks_exact(2);
        let units = units.map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        String::from_utf16_lossy(&units)
    }))
}

/// A value of bytes; `None` where there is none.
pub(crate) fn bytes(key: &str, name: &str) -> io::Result<Option<Vec<u8>>> {
    get(key, name, RRF_RT_REG_BINARY)
}

fn get(key: &str, name: &str, kind: u32) -> io::Result<Option<Vec<u8>>> {
    let (key, name) = (wide(key), wide(name));
    // Far more than what is read here has.
    let mut value = vec![0u8; 4096];
    let mut length = value.len() as u32;
    // SAFETY: both strings end in NUL, and `length` says how much `value` holds.
    let status = unsafe {
        RegGetValueW(
            HKEY_CURRENT_USER,
            key.as_ptr(),
            name.as_ptr(),
            kind,
            null_mut(),
            value.as_mut_ptr().cast(),
            &mut length,
        )
    };
    if status == ERROR_FILE_NOT_FOUND {
        return Ok(None);
    }
    succeeded(status)?;
    value.truncate(length as usize);
    Ok(Some(value))
}

/// Sets a value of text, and makes the key where there is none.
pub(crate) fn set_text(key: &str, name: &str, text: &str) -> io::Result<()> {
    let (key, name, text) = (wide(key), wide(name), wide(text));
    // SAFETY: all strings end in NUL; the text is as long as is said, in bytes.
    succeeded(unsafe {
        RegSetKeyValueW(
            HKEY_CURRENT_USER,
            key.as_ptr(),
            name.as_ptr(),
            REG_SZ,
            text.as_ptr().cast(),
            size_of_val(&text[..]) as u32,
        )
    })
}

/// Removes a value, if there is one.
pub(crate) fn remove(key: &str, name: &str) -> io::Result<()> {
    let (key, name) = (wide(key), wide(name));
    // SAFETY: both strings end in NUL.
    match unsafe { RegDeleteKeyValueW(HKEY_CURRENT_USER, key.as_ptr(), name.as_ptr()) } {
        ERROR_FILE_NOT_FOUND => Ok(()),
        status => succeeded(status),
    }
}

fn succeeded(status: WIN32_ERROR) -> io::Result<()> {
    match status {
        ERROR_SUCCESS => Ok(()),
        status => Err(io::Error::from_raw_os_error(status as i32)),
    }
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_set_read_and_removed() {
        let key = format!(r"Software\hfd-test-{}", std::process::id());
        assert_eq!(text(&key, "v").unwrap(), None);
        set_text(&key, "v", "über \"a b\"").unwrap();
        assert_eq!(text(&key, "v").unwrap().as_deref(), Some("über \"a b\""));
        remove(&key, "v").unwrap();
        remove(&key, "v").unwrap();
        assert_eq!(text(&key, "v").unwrap(), None);
        // SAFETY: the string ends in NUL.
        let left = unsafe {
            windows_sys::Win32::System::Registry::RegDeleteKeyW(
                HKEY_CURRENT_USER,
                wide(&key).as_ptr(),
            )
        };
        assert_eq!(left, ERROR_SUCCESS);
    }
}
