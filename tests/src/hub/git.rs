//! Repositories behind the Hub's addresses: git's own server (`git http-backend`, by CGI), and Git LFS with
//! its objects in files. Both want a token as the password of Basic authentication, as the Hub does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::account::Account;
use super::http::{Answer, Seen};
use super::routes::{Request, refuse};

/// What is asked of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    owner: String,
    name: String,
    /// What follows the repository in the path.
    rest: String,
    query: String,
}

impl Wanted {
    /// `OWNER/NAME[.git]/REST`, where that is something of git's.
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let mut parts = path.strip_prefix('/')?.splitn(3, '/');
        let (owner, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let is_gits = matches!(rest, "info/refs" | "git-upload-pack" | "git-receive-pack")
            || rest.starts_with("info/lfs/");
        is_gits.then(|| Self {
            owner: owner.to_owned(),
            name: name.strip_suffix(".git").unwrap_or(name).to_owned(),
            rest: rest.to_owned(),
            query: query.to_owned(),
        })
    }

    /// Whether this person may see and change it.
    pub(super) fn is_open_to(&self, account: &Account) -> bool {
        account.owns(&self.owner)
    }

    /// Answers; `directory` is where the repositories are.
    pub(super) fn answer(&self, directory: &Path, request: &Request<'_>) -> Answer {
        match self.rest.strip_prefix("info/lfs/") {
            Some("objects/batch") => self.batch(directory, request),
            Some(rest) => match rest.strip_prefix("objects/") {
                Some(object) => self.object(directory, object, request),
                // Locks are not had here, which git-lfs takes note of.
                None => refuse(404),
            },
            None => self
                .backend(directory, request)
                .unwrap_or_else(|| refuse(500)),
        }
    }

    fn repository(&self) -> String {
        format!("{}/{}.git", self.owner, self.name)
    }

    /// RFC 3875, as git-http-backend(1) wants it.
    fn backend(&self, directory: &Path, request: &Request<'_>) -> Option<Answer> {
        let header = |name: &str| request.seen.headers.get(name).cloned().unwrap_or_default();
        let mut child = Command::new("git")
            .arg("http-backend")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_PROJECT_ROOT", directory)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env("PATH_INFO", format!("/{}/{}", self.repository(), self.rest))
            .env("QUERY_STRING", &self.query)
            .env("REQUEST_METHOD", &request.seen.method)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("REMOTE_USER", "somebody")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take()?;
        let body = request.body.to_owned();
        // It may answer before it has read everything, or end without.
        let writer = std::thread::spawn(move || stdin.write_all(&body).ok());
        let output = child.wait_with_output().ok()?;
        writer.join().ok()?;
        answer_of_cgi(&output.stdout)
    }

    /// The batch API of Git LFS, with the basic transfer: objects are fetched from and put to addresses of
    /// this Hub, which want the same token.
    fn batch(&self, directory: &Path, request: &Request<'_>) -> Answer {
        let asked: Value = serde_json::from_slice(request.body).unwrap_or_default();
        let operation = asked["operation"].as_str().unwrap_or_default();
        let objects = asked["objects"].as_array().cloned().unwrap_or_default();
        let objects: Vec<Value> = objects
            .into_iter()
            .map(|object| {
                let oid = object["oid"].as_str().unwrap_or_default().to_owned();
                let href = format!(
                    "{}/{}/info/lfs/objects/{oid}",
                    request.endpoint,
                    self.repository()
                );
                let is_there = self
                    .place(directory, &oid)
                    .is_some_and(|path| path.is_file());
                let mut told = json!({ "oid": oid, "size": object["size"] });
                if (operation == "download") == is_there {
                    told["actions"] = json!({ operation: { "href": href } });
                }
                told
            })
            .collect();
        let answer = json!({ "transfer": "basic", "objects": objects }).to_string();
        Answer::typed(200, "application/vnd.git-lfs+json", answer)
    }

    fn object(&self, directory: &Path, oid: &str, request: &Request<'_>) -> Answer {
        let Some(path) = self.place(directory, oid) else {
            return refuse(404);
        };
        match request.seen.method.as_str() {
            "PUT" => {
                let written = fs::write(path, request.body);
                Answer::new(if written.is_ok() { 200 } else { 500 }, "")
            }
            _ => match fs::read(path) {
                Ok(content) => Answer::typed(200, "application/octet-stream", content),
                Err(_) => refuse(404),
            },
        }
    }

    fn place(&self, directory: &Path, oid: &str) -> Option<PathBuf> {
        let right = oid.len() == 64 && oid.bytes().all(|byte| byte.is_ascii_hexdigit());
        right.then(|| directory.join(self.repository()).join(oid))
    }
}

/// Makes an empty repository.
pub(super) fn make(directory: &Path, owner: &str, name: &str) {
    let path = directory.join(owner).join(format!("{name}.git"));
    let git = |words: &[&str]| {
        let status = Command::new("git")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(words)
            .arg(&path)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "git {words:?}");
    };
    git(&["init", "--quiet", "--bare", "--initial-branch=main"]);
}

/// What a repository answers that is not open: not even that it is there.
pub(super) fn unauthorized() -> Answer {
    refuse(401).header(
        "www-authenticate",
        "Basic realm=\"Authentication required\"",
    )
}

fn answer_of_cgi(output: &[u8]) -> Option<Answer> {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&output[..end]).ok()?;
    let headers: BTreeMap<String, &str> = head
        .split("\r\n")
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let status = headers
        .get("status")
        .and_then(|status| status.get(..3)?.parse().ok());
    let media_type = headers.get("content-type").copied().unwrap_or("text/plain");
    let body = output[end + 4..].to_vec();
    let answer = Answer::typed(status.unwrap_or(200), media_type, body);
    Some(answer.header("cache-control", "no-cache"))
}
