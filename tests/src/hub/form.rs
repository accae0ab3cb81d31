use std::collections::BTreeMap;

/// The fields of `application/x-www-form-urlencoded`.
pub(super) fn parse(body: &[u8]) -> BTreeMap<String, String> {
    let body = String::from_utf8_lossy(body);
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| after.get(..2).and_then(hex))
            .flatten();
        rest = if escaped.is_some() {
            &after[2..]
        } else {
            after
        };
        bytes.push(match first {
            b'+' => b' ',
            first => escaped.unwrap_or(*first),
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let fields = parse(b"grant_type=urn%3Aietf%3aparams&a=b+c%2B&broken=%4&empty=&nothing");
        let expected = [
            ("a", "b c+"),
            ("broken", "%4"),
            ("empty", ""),
            ("grant_type", "urn:ietf:params"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields, BTreeMap::from(expected));
    }
}
