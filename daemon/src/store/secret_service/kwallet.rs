//! What only KWallet does: it calls a collection locked until some program has asked for it to be
//! unlocked, even while the wallet is open because its person has logged in. To ask needs no dialog
//! then, unless its settings say otherwise.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secret_service::Collection;
use zbus::Connection;
use zbus::fdo::DBusProxy;

use super::bus::PROVIDER;
use super::fault::Fault;

/// Its other names, and where its own interface is. From KDE Frameworks 6.14 on the Secret Service is
/// another program's, ksecretd's.
const NAMES: [(&str, &str); 2] = [
    ("org.kde.kwalletd6", "/modules/kwalletd6"),
    ("org.kde.kwalletd5", "/modules/kwalletd5"),
];

/// Where its settings may be, the most important first.
#[derive(Debug)]
pub(super) struct Settings(Vec<PathBuf>);

impl Settings {
    pub(super) fn new(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let own = match set("XDG_CONFIG_HOME") {
            Some(directory) => Some(PathBuf::from(directory)),
            None => set("HOME").map(|home| Path::new(&home).join(".config")),
        };
        let shared = set("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
        let all = own.into_iter().chain(std::env::split_paths(&shared));
        Self(all.map(|directory| directory.join("kwalletrc")).collect())
    }

    /// Whether it asks its person before a program may use an open wallet.
    fn asks(&self) -> bool {
        let texts = self
            .0
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok());
        texts
            .filter_map(|text| prompt_on_open(&text))
            .next()
            .unwrap_or(false)
    }
}

/// What a file says of it, if it does.
fn prompt_on_open(text: &str) -> Option<bool> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| *line == "[Wallet]")?;
    let section = lines.take_while(|line| !line.starts_with('['));
    let values = section.filter_map(|line| line.split_once('='));
    let values =
        values.filter(|(key, _)| key.trim_end().split('[').next() == Some("Prompt on Open"));
    let (_, value) = values.last()?;
    let value = value.trim().to_ascii_lowercase();
    Some(!matches!(value.as_str(), "false" | "0" | "no" | "off" | ""))
}

/// Whether the provider is KWallet, has the wallet of this collection open, and asks nobody about it.
pub(super) async fn is_open(
    settings: &Settings,
    connection: &Connection,
    collection: &Collection<'_>,
) -> Result<bool, Fault> {
    let bus = DBusProxy::new(connection).await?;
    let provider = bus.get_name_owner(PROVIDER.try_into()?).await?;
    for (name, path) in NAMES {
        // Only where it runs: a call would start it.
        if bus.get_name_owner(name.try_into()?).await.ok().as_ref() != Some(&provider) {
            continue;
        }
        if settings.asks() {
            return Ok(false);
        }
        let (interface, wallet) = (Some("org.kde.KWallet"), collection.get_label().await?);
        let asking = connection.call_method(Some(name), path, interface, "isOpen", &wallet);
        return Ok(asking.await?.body().deserialize()?);
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_found_where_it_counts() {
        let wallet =
            |lines: &str| prompt_on_open(&format!("[A]\nx=1\n[Wallet]\n{lines}\n[B]\ny=2"));
        assert_eq!(wallet("Prompt on Open=true"), Some(true));
        assert_eq!(
            wallet("First Use=false\nPrompt on Open = False"),
            Some(false)
        );
        assert_eq!(wallet("Prompt on Open[$i]=true"), Some(true));
        assert_eq!(wallet("First Use=false"), None);
        assert_eq!(prompt_on_open("[B]\nPrompt on Open=true"), None);
        let home = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "XDG_CONFIG_HOME").then(|| home.path().into());
        assert!(!Settings::new(env).asks());
        let text = "[Wallet]\nPrompt on Open=true\n";
        std::fs::write(home.path().join("kwalletrc"), text).unwrap();
        assert!(Settings::new(env).asks());
    }
}
