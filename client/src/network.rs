//! How the caller reaches the Hub: proxies and certificates of its environment, which serve the
//! one request that carries them.

use std::io::Read as _;
use std::path::Path;

use hfd_proto::os::open_without_waiting;
use hfd_proto::{Error, Kind, Network};

use crate::environment::Environment;

/// The largest bundle that is sent, in bytes. The system's has some 220 KiB; a line of the wire
/// takes twice this.
const MAX_BUNDLE: u64 = 512 * 1024;

/// The variables that name a bundle: those of requests first, as it is what Hugging Face tools are
/// configured for.
const BUNDLES: [&str; 3] = ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"];

/// Reads the variables, and the file that one of them names.
pub(crate) fn of(env: &Environment) -> Result<Network, Error> {
    Ok(Network {
        https_proxy: first_set(env, &["https_proxy", "HTTPS_PROXY"]),
        http_proxy: first_set(env, &["http_proxy"]),
        all_proxy: first_set(env, &["all_proxy", "ALL_PROXY"]),
        no_proxy: first_set(env, &["no_proxy", "NO_PROXY"]),
        ca_pem: bundle(env)?,
    })
}

/// The lower-case name goes first, as with curl, and set to nothing it switches the other off.
fn first_set(env: &Environment, names: &[&str]) -> Option<String> {
    let value = names.iter().find_map(|name| env.text(name))?;
    Some(value).filter(|value| !value.is_empty())
}

fn bundle(env: &Environment) -> Result<Option<String>, Error> {
    let set = |name| Some((name, env.raw(name).filter(|value| !value.is_empty())?));
    let Some((variable, path)) = BUNDLES.into_iter().find_map(set) else {
        return Ok(None);
    };
    let refused = |why: String| {
        Error::new(Kind::Usage, format!("{variable}: {why}"))
            .hint(format!("let {variable} name a file of certificates in PEM"))
    };
    let file =
        open_without_waiting(Path::new(&path)).map_err(|error| refused(error.to_string()))?;
    let metadata = file
        .metadata()
        .map_err(|error| refused(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file".to_owned()));
    }
    let mut content = Vec::new();
    file.take(MAX_BUNDLE + 1)
        .read_to_end(&mut content)
        .map_err(|error| refused(error.to_string()))?;
    if content.len() as u64 > MAX_BUNDLE {
        return Err(refused("the file is larger than 512 KiB".to_owned()));
    }
    let pem = String::from_utf8(content).map_err(|_| refused("the file is not text".to_owned()))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(refused("the file holds no certificate in PEM".to_owned()));
    }
    Ok(Some(pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_found_as_curl_finds_them() {
        let network = of(&Environment::of(&[
            ("HTTPS_PROXY", "http://upper:1"),
            ("https_proxy", "http://lower:1"),
            ("HTTP_PROXY", "http://forged:1"),
            ("ALL_PROXY", "socks5://all:1"),
            ("NO_PROXY", "a"),
            ("no_proxy", ""),
        ]))
        .unwrap();
        assert_eq!(network.https_proxy.as_deref(), Some("http://lower:1"));
        assert_eq!(network.http_proxy, None);
        assert_eq!(network.all_proxy.as_deref(), Some("socks5://all:1"));
        assert_eq!(network.no_proxy, None);
    }

    #[test]
    fn the_first_bundle_that_is_set_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nx\n").unwrap();
        let path = path.to_str().unwrap();
        let network = of(&Environment::of(&[
            ("REQUESTS_CA_BUNDLE", ""),
            ("CURL_CA_BUNDLE", path),
            ("SSL_CERT_FILE", "/nowhere"),
        ]));
        assert!(network.unwrap().ca_pem.unwrap().starts_with("-----BEGIN"));
    }

    #[test]
    fn a_bundle_that_is_none_is_refused_by_the_name_of_its_variable() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        for path in [
            "/nowhere".to_owned(),
            dir.path().to_str().unwrap().to_owned(),
            file("binary", b"\xff\xfe"),
            file("other", b"hello"),
            file("large", &vec![b' '; MAX_BUNDLE as usize + 1]),
        ] {
            let env = Environment::of(&[("SSL_CERT_FILE", &path)]);
            let error = of(&env).unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(error.message.starts_with("SSL_CERT_FILE: "), "{error}");
        }
    }
    #[test]
    #[cfg(unix)]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let env = Environment::of(&[("SSL_CERT_FILE", pipe.to_str().unwrap())]);
        assert_eq!(of(&env).unwrap_err().kind, Kind::Usage);
    }
}
