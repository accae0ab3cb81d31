//! What holds of every store while nothing fails.

use hfd_proto::{MAX_SECRET, StoreState};

use crate::bench::{Bench, key, key_at, refresh, secret};

pub(crate) async fn what_is_put_is_got_and_updated_in_place(bench: &impl Bench) {
    let store = bench.store();
    store.put(&key("work"), &secret("hf_first")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_first"))));
    store.put(&key("work"), &secret("hf_second")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_second"))));
    assert_eq!(store.keys().await, Ok(vec![key("work")]));
    let another = bench.store();
    assert_eq!(
        another.get(&key("work")).await,
        Ok(Some(secret("hf_second")))
    );
}

pub(crate) async fn absent_is_said_of_what_is_not_there(bench: &impl Bench) {
    let store = bench.store();
    store.probe().await.unwrap();
    assert_eq!(store.get(&key("nobody")).await, Ok(None));
    assert_eq!(store.delete(&key("nobody")).await, Ok(false));
    assert_eq!(store.keys().await, Ok(vec![]));
    store.put(&key("work"), &secret("hf_x")).await.unwrap();
    assert_eq!(store.get(&key("wor")).await, Ok(None));
    assert_eq!(store.get(&key("WORK")).await, Ok(None));
    assert_eq!(store.delete(&key("work")).await, Ok(true));
    assert_eq!(store.delete(&key("work")).await, Ok(false));
    assert_eq!(store.get(&key("work")).await, Ok(None));
}

pub(crate) async fn a_refresh_token_is_apart_from_its_token(bench: &impl Bench) {
    let store = bench.store();
    store.put(&refresh("work"), &secret("hf_r")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(None));
    store.put(&key("work"), &secret("hf_a")).await.unwrap();
    assert_eq!(store.keys().await, Ok(vec![key("work"), refresh("work")]));
    assert_eq!(store.delete(&key("work")).await, Ok(true));
    assert_eq!(store.get(&refresh("work")).await, Ok(Some(secret("hf_r"))));
}

pub(crate) async fn names_of_every_shape_come_back(bench: &impl Bench) {
    let long = "é".repeat((bench.longest_name() - 1) / 2) + "x";
    let names = [
        "a",
        " a ",
        "a]b",
        "[x]",
        "a=b",
        "a:b",
        "%",
        "%00",
        "a%b",
        "%(x)s",
        "#h",
        ";",
        "default",
        "\t",
        "\u{0}",
        "a\0b%00",
        "|",
        "a|b",
        "🤗",
        "👩‍👩‍👧",
        "\"'`$(x)\\",
        "\u{1b}[2J",
        "\u{202e}x",
        "\u{feff}",
        "\u{10ffff}",
        "日本",
        "A",
        "hfd",
        "access",
        &long,
    ];
    let store = bench.store();
    for (number, name) in names.iter().enumerate() {
        let value = secret(&format!("hf_value_{number}"));
        store.put(&key(name), &value).await.unwrap();
    }
    let mut keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    keys.sort();
    let again = bench.store();
    assert_eq!(again.keys().await, Ok(keys));
    for (number, name) in names.iter().enumerate() {
        let value = secret(&format!("hf_value_{number}"));
        assert_eq!(again.get(&key(name)).await, Ok(Some(value)), "{name:?}");
    }
}

pub(crate) async fn long_values_come_back_and_shrink(bench: &impl Bench) {
    let store = bench.store();
    let printable: String = (b'!'..=b'~').map(char::from).collect();
    // Around what one item of Credential Manager holds, and what no longer fits into one.
    for length in [2_559, 2_560, 2_561, 8 * 1024, MAX_SECRET, 1] {
        let both = [key("jwt"), refresh("jwt")].map(|key| {
            let text = printable.repeat(length);
            // Two that differ in their first character alone.
            let from = usize::from(key == refresh("jwt"));
            (key, secret(&text[from..from + length]))
        });
        for (key, value) in &both {
            store.put(key, value).await.unwrap();
        }
        for (key, value) in both {
            assert!(store.get(&key).await == Ok(Some(value)), "{length}");
        }
    }
}

pub(crate) async fn one_name_at_two_endpoints_is_two_tokens(bench: &impl Bench) {
    let store = bench.store();
    let other = key_at("http://127.0.0.1:8080", "work");
    store.put(&key("work"), &secret("hf_hub")).await.unwrap();
    store.put(&other, &secret("hf_other")).await.unwrap();
    assert_eq!(store.get(&key("work")).await, Ok(Some(secret("hf_hub"))));
    assert_eq!(store.delete(&key("work")).await, Ok(true));
    assert_eq!(store.get(&other).await, Ok(Some(secret("hf_other"))));
    assert_eq!(store.keys().await, Ok(vec![other]));
}

pub(crate) async fn one_value_under_two_names_is_kept_twice(bench: &impl Bench) {
    let store = bench.store();
    store.put(&key("one"), &secret("hf_same")).await.unwrap();
    store.put(&key("two"), &secret("hf_same")).await.unwrap();
    assert_eq!(store.delete(&key("one")).await, Ok(true));
    assert_eq!(store.get(&key("two")).await, Ok(Some(secret("hf_same"))));
}

pub(crate) async fn two_hundred_items_are_found_and_removed(bench: &impl Bench) {
    let store = bench.store();
    let keys: Vec<_> = (0..200).map(|n| key(&format!("token-{n:03}"))).collect();
    for key in &keys {
        let value = secret(&format!("hf_{}", key.name.as_str()));
        store.put(key, &value).await.unwrap();
    }
    assert_eq!(store.keys().await.as_ref(), Ok(&keys));
    for key in &keys {
        let value = secret(&format!("hf_{}", key.name.as_str()));
        assert_eq!(store.get(key).await, Ok(Some(value)));
        assert_eq!(store.delete(key).await, Ok(true));
    }
    assert_eq!(store.keys().await, Ok(vec![]));
}

pub(crate) async fn many_callers_at_once_are_all_answered(bench: &impl Bench) {
    let store = bench.store();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        callers.spawn(async move {
            let (key, value) = (key(&format!("t{}", n % 4)), secret(&format!("hf_{n}")));
            store.put(&key, &value).await?;
            store.get(&key).await
        });
    }
    for outcome in callers.join_all().await {
        assert!(matches!(outcome, Ok(Some(_))), "{outcome:?}");
    }
    assert_eq!(store.keys().await.map(|keys| keys.len()), Ok(4));
}

pub(crate) async fn the_status_is_known_without_asking(bench: &impl Bench) {
    let store = bench.store();
    assert!(!store.was_asked() && store.status().state == StoreState::Waiting);
    store.probe().await.unwrap();
    assert!(store.was_asked());
    let status = store.status();
    assert!(status.id == store.id() && status.state == StoreState::Ready);
    assert!(status.detail.is_some());
}
