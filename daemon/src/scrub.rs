//! Takes token-shaped text out of what is logged or shown.

/// Stands where a token stood; the same mark as in a masked token.
const MARK: &str = "****";

/// The shortest run after `hf_` that counts as a token. The Hub's have 34; `hf_token`, the key of
/// `stored_tokens`, has 5 and stays readable.
const SHORTEST: usize = 8;

/// Replaces what looks like a credential by `****`: `hf_…` and `api_org_…` tokens, JWTs, what
/// follows `Bearer`, and the user and password of a URL. It is a net under the rule that no text
/// holds a secret, not a licence to put one there.
pub fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((kept, end)) = credential(rest) {
            out.push_str(&rest[..kept]);
            out.push_str(MARK);
            rest = &rest[end..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A credential at the start of `text`: how many bytes before it are kept (`Bearer `), and where
/// it ends.
fn credential(text: &str) -> Option<(usize, usize)> {
    hub_token(text)
        .or_else(|| jwt(text))
        .map(|end| (0, end))
        .or_else(|| bearer(text))
        .or_else(|| userinfo(text))
}

fn hub_token(text: &str) -> Option<usize> {
    let prefix = ["hf_", "api_org_"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let body = &text[prefix.len()..];
    let letters = run(body, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
    // An OAuth token is `hf_oauth_` and a JWT, which goes on after a dot or a dash.
    (letters >= SHORTEST).then(|| prefix.len() + run(body, is_jwt_byte))
}

fn jwt(text: &str) -> Option<usize> {
    // `{"` in base64url: every JWT starts with it.
    let length = run(text.strip_prefix("eyJ")?, is_jwt_byte);
    let body = &text[3..3 + length];
    // One dot is enough: a truncated JWT still shows its claims.
    (length >= SHORTEST && body.contains('.')).then_some(3 + length)
}

fn bearer(text: &str) -> Option<(usize, usize)> {
    const SCHEME: &str = "bearer ";
    let scheme = text.get(..SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let length = run(&text[SCHEME.len()..], |byte| byte.is_ascii_graphic());
    (length > 0).then_some((SCHEME.len(), SCHEME.len() + length))
}

fn userinfo(text: &str) -> Option<(usize, usize)> {
    let authority = text.strip_prefix("://")?;
    let length = authority
        .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>'))
        .unwrap_or(authority.len());
    let at = authority[..length].rfind('@')?;
    Some((3, 3 + at))
}

fn is_jwt_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn run(text: &str, accepts: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|&byte| accepts(byte)).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_are_replaced() {
        for (given, expected) in [
            ("token hf_abcdefgh.", "token ****"),
            ("x=hf_oauth_eyJhbGci.eyJzdWIi.c2ln-_ y", "x=**** y"),
            (r#"{"error":"hf_ABCDEFGH"}"#, r#"{"error":"****"}"#),
            ("api_org_abcdefghijkl", "****"),
            ("jwt eyJhbGciOi.eyJzdWIiOi.c2ln, ok", "jwt ****, ok"),
            ("cut eyJhbGciOi.eyJz", "cut ****"),
            (
                "Authorization: Bearer a+b/c==",
                "Authorization: Bearer ****",
            ),
            ("authorization: bearer x", "authorization: bearer ****"),
            ("http://user:p@ss@proxy:3128/x", "http://****@proxy:3128/x"),
            ("é hf_abcdefgh é", "é **** é"),
        ] {
            assert_eq!(scrub(given), expected, "{given}");
        }
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "",
            "hf_token = 1",
            "hf_ and api_org_ and eyJ",
            "eyJhbGciOi without a dot",
            "the bearer",
            "https://huggingface.co/api/whoami-v2?a=b@c",
            "mail@example.org",
            "🤗 é",
        ] {
            assert_eq!(scrub(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_token_survives(before in ".{0,40}", token in "hf_[A-Za-z]{8,40}", after in ".{0,40}") {
            let scrubbed = scrub(&[before, token.clone(), after].concat());
            prop_assert!(!scrubbed.contains(&token));
        }

        #[test]
        fn scrubbing_twice_changes_nothing(text in "(hf_|eyJ|Bearer |://|@|\\.|[a-z]{0,9}|.){0,20}") {
            let once = scrub(&text);
            prop_assert_eq!(scrub(&once), once);
        }
    }
}
