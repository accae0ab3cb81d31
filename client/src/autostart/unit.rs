//! The unit file of the service: where it lies, and what it says.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use hfd_proto::{Error, Kind};

use super::systemd::UNIT;
use super::{file, homebrew};
use crate::environment::Environment;

/// The unit as packages ship it, with their hfdd.
const TEMPLATE: &str = include_str!("../../../packaging/systemd/hfd.service");

/// The line of [`TEMPLATE`] that is replaced.
const PACKAGED: &str = "ExecStart=\"/usr/bin/hfdd\" --service";

/// Where the unit is installed: systemd.unit(5), "user unit search path". `None` without a home.
pub(super) fn path(env: &Environment) -> Option<PathBuf> {
    let config = config_home(&|name| env.raw(name))?;
    Some(config.join("systemd/user").join(UNIT))
}

/// Where the administrator enables units for every user: systemd.unit(5).
const FOR_EVERYONE: &str = "/etc/systemd/user";

/// What shows that the service is installed: the unit at `path`, or the link that enabled a package's.
pub(super) fn installed(path: &Path) -> Option<PathBuf> {
    let wanted = Path::new("default.target.wants").join(UNIT);
    let enabled = path.parent().map(|dir| dir.join(&wanted));
    let for_everyone = Path::new(FOR_EVERYONE).join(&wanted);
    let candidates = [Some(path.to_owned()), enabled, Some(for_everyone)];
    // A link whose package is gone leads nowhere.
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// Fails where it is not the user who has the service installed.
pub(super) fn check_own(installed: &Path) -> Result<(), Error> {
    if !installed.starts_with(FOR_EVERYONE) {
        return Ok(());
    }
    let message = format!("{UNIT} is enabled for every user of this machine");
    Err(Error::new(Kind::Refused, message).hint(format!(
        "`systemctl --user mask {UNIT}` keeps it from you, \
         `systemctl --global disable {UNIT}` is for the administrator"
    )))
}

fn config_home(env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    absolute(env, "XDG_CONFIG_HOME").or_else(|| Some(absolute(env, "HOME")?.join(".config")))
}

fn absolute(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    env(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

/// Whether a service is installed and runs another hfdd than the one beside this program. Then it is
/// that one which serves, whatever its version: replaced by ours, it would be back at the next start.
pub(super) fn runs_another_hfdd(env: &Environment) -> bool {
    let installed = path(env).and_then(|path| installed(&path));
    let content = installed.and_then(|path| fs::read_to_string(path).ok());
    let ours = homebrew::neighbour().and_then(|program| exec_start(&program).ok());
    match (content, ours) {
        (Some(content), Some(ours)) => !content.lines().any(|line| line == ours),
        _ => false,
    }
}

/// The unit with this hfdd.
pub(super) fn render(program: &Path) -> Result<String, Error> {
    Ok(TEMPLATE.replace(PACKAGED, &exec_start(program)?))
}

/// A path as systemd.service(5) wants it: quoted, with `%` as no specifier. Of `$` it makes nothing in
/// the program's path.
fn exec_start(program: &Path) -> Result<String, Error> {
    let path = program
        .to_str()
        .filter(|path| !path.contains(char::is_control));
    let path = path.ok_or_else(|| {
        Error::new(
            Kind::Other,
            format!("systemd takes no such path: {}", program.display()),
        )
        .hint("install hfd and hfdd elsewhere")
    })?;
    let escaped = path
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    Ok(format!("ExecStart=\"{escaped}\" --service"))
}

/// The installed unit file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, Error> {
    // A masked unit (systemctl(1)) is a link to /dev/null, and somebody's decision.
    if fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null")) {
        return Err(Error::new(Kind::Refused, format!("{UNIT} is masked"))
            .hint(format!("systemctl --user unmask {UNIT}")));
    }
    file::read(path)
}

/// The variable by which a service would have other places than the caller, if there is one.
///
/// Writing the caller's value into the unit would serve this shell alone: what the desktop starts has
/// the manager's environment, and would look for hfd, and start another, somewhere else.
pub(super) fn differing(
    env: &Environment,
    manager: &BTreeMap<OsString, OsString>,
) -> Option<&'static str> {
    let ours = |name: &str| env.raw(name);
    let theirs = |name: &str| manager.get(std::ffi::OsStr::new(name)).cloned();
    let socket = |env: &dyn Fn(&str) -> Option<OsString>| {
        env("HFD_SOCKET").filter(|value| !value.is_empty())
    };
    let state = |env: &dyn Fn(&str) -> Option<OsString>| {
        absolute(&env, "XDG_STATE_HOME")
            .or_else(|| Some(absolute(&env, "HOME")?.join(".local/state")))
    };
    let runtime = |env: &dyn Fn(&str) -> Option<OsString>| {
        let uid = rustix::process::getuid().as_raw();
        absolute(&env, "XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{uid}").into())
    };
    let differs = [
        ("HOME", absolute(&ours, "HOME") != absolute(&theirs, "HOME")),
        ("HFD_SOCKET", socket(&ours) != socket(&theirs)),
        ("XDG_STATE_HOME", state(&ours) != state(&theirs)),
        (
            "XDG_CONFIG_HOME",
            config_home(&ours) != config_home(&theirs),
        ),
        ("XDG_RUNTIME_DIR", runtime(&ours) != runtime(&theirs)),
    ];
    let first = differs.into_iter().find(|(_, differs)| *differs);
    first.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_runs_the_hfdd_beside_this_hfd() {
        assert_eq!(TEMPLATE.lines().filter(|line| *line == PACKAGED).count(), 1);
        for (path, line) in [
            ("/opt/hfd/hfdd", "ExecStart=\"/opt/hfd/hfdd\" --service"),
            ("/a b/50%/hfdd", "ExecStart=\"/a b/50%%/hfdd\" --service"),
            ("/q\"\\/hfdd", "ExecStart=\"/q\\\"\\\\/hfdd\" --service"),
        ] {
            let unit = render(path.as_ref()).unwrap();
            assert!(unit.lines().any(|found| found == line), "{unit}");
            assert!(!unit.contains(PACKAGED));
        }
        assert!(render("/a\nExecStart=/b".as_ref()).is_err());
    }

    #[test]
    fn the_unit_lies_where_the_manager_looks() {
        let at = |variables: &[(&str, &str)]| path(&Environment::of(variables));
        let usual = PathBuf::from("/h/.config/systemd/user/hfd.service");
        assert_eq!(at(&[("HOME", "/h")]), Some(usual.clone()));
        assert_eq!(at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "c")]), Some(usual));
        let moved = at(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")]);
        assert_eq!(moved, Some("/c/systemd/user/hfd.service".into()));
        assert_eq!(at(&[]), None);
    }

    #[test]
    fn a_packages_unit_counts_once_it_is_enabled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hfd.service");
        let packaged = dir.path().join("packaged");
        let link = dir.path().join("default.target.wants/hfd.service");
        fs::create_dir(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&packaged, &link).unwrap();
        assert_eq!(installed(&path), None, "its package is gone");
        fs::write(&packaged, TEMPLATE).unwrap();
        assert_eq!(installed(&path).as_ref(), Some(&link));
        fs::write(&path, TEMPLATE).unwrap();
        assert_eq!(
            installed(&path).as_ref(),
            Some(&path),
            "the manager takes it first"
        );
        assert!(check_own(&path).is_ok() && check_own(&link).is_ok());
        let everyones = Path::new(FOR_EVERYONE).join("default.target.wants/hfd.service");
        assert_eq!(check_own(&everyones).unwrap_err().kind, Kind::Refused);
    }

    #[test]
    fn places_are_compared_not_variables() {
        let theirs = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/x")];
        let manager = theirs
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        let manager: BTreeMap<OsString, OsString> = manager.collect();
        for (more, expected) in [
            (&[][..], None),
            (&[("XDG_STATE_HOME", "/h/.local/state")], None),
            (&[("XDG_STATE_HOME", "relative"), ("HFD_SOCKET", "")], None),
            (&[("XDG_STATE_HOME", "/elsewhere")], Some("XDG_STATE_HOME")),
            (
                &[("XDG_CONFIG_HOME", "/elsewhere")],
                Some("XDG_CONFIG_HOME"),
            ),
            (
                &[("XDG_RUNTIME_DIR", "/elsewhere")],
                Some("XDG_RUNTIME_DIR"),
            ),
            (&[("HFD_SOCKET", "/s")], Some("HFD_SOCKET")),
            (&[("HOME", "/elsewhere")], Some("HOME")),
        ] {
            // The last of two values of a variable counts.
            let env = Environment::of(&[&theirs[..], more].concat());
            assert_eq!(differing(&env, &manager), expected, "{more:?}");
        }
    }

    #[test]
    fn a_mask_is_respected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hfd.service");
        assert_eq!(read(&path).unwrap(), None);
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(read(&path).unwrap_err().kind, Kind::Refused);
    }
}
