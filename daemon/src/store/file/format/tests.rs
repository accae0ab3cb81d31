use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

const NONCE: [u8; 24] = [7; 24];

fn file_key(seed: u8) -> FileKey {
    FileKey::new(&Zeroizing::new([seed; 48]))
}

fn item(name: &str, part: Part, value: &str) -> (Key, Secret) {
    let key = Key {
        endpoint: Endpoint::default(),
        name: TokenName::parse(name).unwrap(),
        part,
    };
    (key, Secret::parse(value).unwrap())
}

fn two_items() -> Items {
    Items::from([
        item("a", Part::Access, "hf_canary_access"),
        item("a", Part::Refresh, "hf_canary_refresh"),
    ])
}

#[test]
fn what_was_sealed_is_opened_again() {
    for items in [Items::new(), two_items()] {
        let file = seal(&file_key(1), NONCE, &items).unwrap();
        assert_eq!(open(&file_key(1), &file), Ok(items));
    }
}

#[test]
fn nothing_of_an_item_stands_in_the_file() {
    let file = seal(&file_key(1), NONCE, &two_items()).unwrap();
    for part in ["hf_canary", "canary", "huggingface"] {
        assert!(!file.windows(part.len()).any(|w| w == part.as_bytes()));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let file = seal(&file_key(1), NONCE, &two_items()).unwrap();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut altered = file.clone();
            altered[at] ^= 1 << bit;
            let damage = open(&file_key(1), &altered).expect_err("an altered file was believed");
            let right = match at {
                0..8 => damage == Damage::Foreign,
                8..12 => matches!(damage, Damage::Newer(_)),
                12..16 => matches!(damage, Damage::CutShort { .. } | Damage::Altered),
                16..32 => damage == Damage::OtherKey,
                _ => damage == Damage::Altered,
            };
            assert!(right, "byte {at}: {damage:?}");
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let file = seal(&file_key(1), NONCE, &two_items()).unwrap();
    for length in 0..file.len() {
        let damage = open(&file_key(1), &file[..length]).expect_err("a cut file was believed");
        match length {
            0..8 => assert_eq!(damage, Damage::Foreign),
            _ => assert!(matches!(damage, Damage::CutShort { have, .. } if have == length)),
        }
    }
    let longer = [&file[..], b"x"].concat();
    assert_eq!(open(&file_key(1), &longer), Err(Damage::Altered));
}

#[test]
fn a_file_of_another_key_says_so() {
    let file = seal(&file_key(1), NONCE, &two_items()).unwrap();
    assert_eq!(open(&file_key(2), &file), Err(Damage::OtherKey));
}

#[test]
fn bodies_that_seal_never_makes_are_refused() {
    let body = encode_body(&two_items()).unwrap();
    let one = &body[4..body.len() / 2];
    let with_count = |count: u32, rest: &[u8]| [&count.to_le_bytes()[..], rest].concat();
    for wrong in [
        with_count(3, &body[4..]),
        with_count(1, &body[4..]),
        with_count(u32::MAX, &body[4..]),
        with_count(2, &[one, one].concat()),
        with_count(1, &[9]),
        Vec::new(),
    ] {
        assert_eq!(decode_body(&wrong), Err(Damage::Malformed), "{wrong:?}");
    }
}

#[test]
fn a_file_that_would_be_too_large_is_not_made() {
    let value = "x".repeat(hfd_proto::MAX_SECRET);
    let items: Items = (0..MAX_FILE / value.len())
        .map(|n| item(&n.to_string(), Part::Access, &value))
        .collect();
    assert_eq!(seal(&file_key(1), NONCE, &items), Err(Damage::TooLarge));
}

fn items() -> impl Strategy<Value = Items> {
    let key =
        ("[^\r\n]{1,20}", 0..4, any::<u64>(), 1u16..).prop_map(|(name, part, number, port)| Key {
            endpoint: Endpoint::parse(&format!("https://hub.example:{port}")).unwrap(),
            name: TokenName::parse(name).unwrap_or_else(|_| TokenName::parse("x").unwrap()),
            part: match part {
                0 => Part::Access,
                1 => Part::Refresh,
                2 => Part::KeptAccess(number),
                3 => Part::Renewing,
                _ => Part::KeptRefresh(number),
            },
        });
    let secret = "[!-~]{1,60}".prop_map(|value| Secret::parse(&value).unwrap());
    btree_map(key, secret, 0..8)
}

proptest! {
    #[test]
    fn any_items_come_back(items in items(), nonce in any::<[u8; 24]>(), seed in any::<u8>()) {
        let file = seal(&file_key(seed), nonce, &items).unwrap();
        prop_assert_eq!(open(&file_key(seed), &file), Ok(items));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>(), version in 0u32..3) {
        let key = file_key(1);
        prop_assert!(open(&key, &bytes).is_err());
        let length = (bytes.len() as u32).to_le_bytes();
        let start = [&MAGIC[..], &version.to_le_bytes(), &length, &key.id, &NONCE, &bytes].concat();
        prop_assert!(open(&key, &start).is_err());
        prop_assert!(key_id(&bytes).is_err());
    }

    #[test]
    fn no_decrypted_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>(), count in 0u32..4) {
        let _ = decode_body(&bytes);
        let body = [&count.to_le_bytes()[..], &bytes].concat();
        if let Ok(items) = decode_body(&body) {
            // Whatever it accepts, it would have written in the same way.
            prop_assert_eq!(&encode_body(&items).unwrap()[..], &body[..]);
        }
    }
}
