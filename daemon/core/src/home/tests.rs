use super::*;

/// An environment made of a list.
fn env<'a>(vars: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<'a> {
    |name| {
        vars.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    }
}

fn account(name: Option<&str>) -> Option<String> {
    match name {
        None => Some("/home/me".to_owned()),
        Some("alice") => Some("/home/alice/".to_owned()),
        Some(_) => None,
    }
}

/// `token` and `stored_tokens` in an environment.
fn paths(vars: &[(&str, &str)]) -> (String, String) {
    let path = TokenPath::resolve(Rules::Posix, env(vars), account);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    (text(path.as_path()), text(&path.stored_tokens()))
}

#[test]
fn the_files_are_where_huggingface_hub_looks() {
    const HOME: (&str, &str) = ("HOME", "/h");
    for (vars, token, stored) in [
        (
            &[HOME][..],
            "/h/.cache/huggingface/token",
            "/h/.cache/huggingface/stored_tokens",
        ),
        (
            &[],
            "/home/me/.cache/huggingface/token",
            "/home/me/.cache/huggingface/stored_tokens",
        ),
        (
            &[("HOME", "/")],
            "/.cache/huggingface/token",
            "/.cache/huggingface/stored_tokens",
        ),
        (
            &[("HOME", "")],
            "/.cache/huggingface/token",
            "/.cache/huggingface/stored_tokens",
        ),
        (
            &[HOME, ("XDG_CACHE_HOME", "/c")],
            "/c/huggingface/token",
            "/c/huggingface/stored_tokens",
        ),
        (
            &[HOME, ("XDG_CACHE_HOME", "")],
            "huggingface/token",
            "huggingface/stored_tokens",
        ),
        (
            &[HOME, ("XDG_CACHE_HOME", "~/c")],
            "/h/c/huggingface/token",
            "/h/c/huggingface/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "/f"), ("XDG_CACHE_HOME", "/c")],
            "/f/token",
            "/f/stored_tokens",
        ),
        (&[HOME, ("HF_HOME", "")], "token", "stored_tokens"),
        (
            &[HOME, ("HF_HOME", "r/f")],
            "r/f/token",
            "r/f/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "~/f/")],
            "/h/f/token",
            "/h/f/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "~alice/f")],
            "/home/alice/f/token",
            "/home/alice/f/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "~bob/f")],
            "~bob/f/token",
            "~bob/f/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "$HOME/${HOME}x")],
            "/h//hx/token",
            "/h//hx/stored_tokens",
        ),
        (
            &[HOME, ("HF_HOME", "/$NONE/$")],
            "/$NONE/$/token",
            "/$NONE/$/stored_tokens",
        ),
        (
            &[HOME, ("HF_TOKEN_PATH", "~/t"), ("HF_HOME", "/f")],
            "/h/t",
            "/h/stored_tokens",
        ),
        (&[HOME, ("HF_TOKEN_PATH", "t")], "t", "stored_tokens"),
        (&[HOME, ("HF_TOKEN_PATH", "/t")], "/t", "/stored_tokens"),
        (&[HOME, ("HF_TOKEN_PATH", "")], "", "stored_tokens"),
        (
            &[HOME, ("HUGGINGFACE_CO_STAGING", "1")],
            "/h/.cache/huggingface/token",
            "/h/.cache/huggingface/stored_tokens",
        ),
        (
            &[HOME, ("HF_STORED_TOKENS_PATH", "/s")],
            "/h/.cache/huggingface/token",
            "/h/.cache/huggingface/stored_tokens",
        ),
    ] {
        assert_eq!(
            paths(vars),
            (token.to_owned(), stored.to_owned()),
            "{vars:?}"
        );
    }
}

#[test]
fn a_value_is_expanded_once_where_it_stands() {
    let vars = [("HF_HOME", "$A/$B"), ("A", "$B"), ("B", "/b")];
    // HF_TOKEN_PATH, when it is not set, is made of HF_HOME and expanded like any other.
    assert_eq!(paths(&vars).0, "/b//b/token");
    let vars = [("HF_TOKEN_PATH", "$A/$B"), ("A", "$B"), ("B", "/b")];
    assert_eq!(paths(&vars).0, "$B//b");
}

#[test]
fn a_relative_path_belongs_to_a_directory() {
    let home = |path: &str| {
        let vars = [("HF_TOKEN_PATH", path)];
        let path = TokenPath::resolve(Rules::Posix, env(&vars), account);
        (
            path.is_relative(),
            path.home(Path::new("/work")).map(|home| home.token_path),
        )
    };
    assert_eq!(home("/t/token"), (false, Ok("/t/token".into())));
    assert_eq!(home("t/token"), (true, Ok("/work/t/token".into())));
    for directory in ["", "/", "/t/", "/t/.", "..", "/t/.."] {
        assert_eq!(home(directory).1, Err(NotAFile), "{directory:?}");
    }
}

#[test]
fn the_endpoint_is_the_default_only_when_none_is_named() {
    let named = |value: &str| endpoint(env(&[("HF_ENDPOINT", value)]));
    assert!(endpoint(env(&[])).unwrap().is_default());
    assert!(
        endpoint(env(&[("HUGGINGFACE_CO_STAGING", "1")]))
            .unwrap()
            .is_default()
    );
    assert!(named("https://huggingface.co/").unwrap().is_default());
    assert_eq!(
        named("https://hub.example//").unwrap().as_str(),
        "https://hub.example"
    );
    assert_eq!(named(""), Err(InvalidEndpoint::Scheme));
    assert_eq!(named("http://hub.example"), Err(InvalidEndpoint::Cleartext));
}

#[test]
fn the_token_of_the_environment_is_cleaned_and_the_older_name_serves_an_empty_one() {
    for (new, old, expected) in [
        (None, None, None),
        (Some("hf_A"), Some("hf_B"), Some(("HF_TOKEN", "hf_A"))),
        (None, Some("hf_B"), Some(("HUGGING_FACE_HUB_TOKEN", "hf_B"))),
        (
            Some(""),
            Some("hf_B"),
            Some(("HUGGING_FACE_HUB_TOKEN", "hf_B")),
        ),
        (Some(" \n"), Some("hf_B"), None),
        (Some(""), Some(""), None),
        (Some(" hf_A\r\n"), None, Some(("HF_TOKEN", "hf_A"))),
        (Some("hf_A\nhf_B\n"), None, Some(("HF_TOKEN", "hf_Ahf_B"))),
        (Some("hf_A hf_B"), None, Some(("HF_TOKEN", "hf_A hf_B"))),
    ] {
        let vars: Vec<_> = [("HF_TOKEN", new), ("HUGGING_FACE_HUB_TOKEN", old)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        let found = env_token(env(&vars));
        assert_eq!(
            found.as_ref().map(|(name, token)| (*name, token.as_str())),
            expected
        );
    }
}

#[test]
fn the_implicit_token_is_disabled_by_a_true_value_alone() {
    let disabled =
        |value: &str| implicit_disabled(env(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", value)]));
    assert!(!implicit_disabled(env(&[])));
    assert!(["1", "on", "ON", "Yes", "TRUE"].into_iter().all(disabled));
    assert!(
        !["", "0", "false", "2", "true ", "y"]
            .into_iter()
            .any(disabled)
    );
}
