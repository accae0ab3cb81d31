//! The dialect of `stored_tokens`, compared with Python's configparser.

mod oracle;

use hfd_core::ini::Document;
use oracle::{Random, ask};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("oracle/stored_tokens.py");

/// Cases that somebody thought of.
const HAND_MADE: &[&[u8]] = &[
    b"",
    b"\n\n \n\t\n",
    b"[my token]\nhf_token = hf_AAA\n\n[oauth-alice]\nhf_token = hf_oauth_XYZ\nrefresh_token = rt_1\nexpires_at = 1798044463\n\n",
    // What huggingface_hub 2.4.0 does not write itself, but reads.
    b"[a]\nhf_token=hf_A",
    b"[a]\nhf_token: hf_A\n",
    b"[a]\nhf_token : hf_A = b : c\n",
    b"[a]\r\nhf_token = hf_A\r\n\r\n[b]\r\nhf_token = hf_B\r\n",
    b"[a]\rhf_token = hf_A\r[b]\rhf_token = hf_B\r",
    b"[a]\r\r\nk = v\n\r\n\rl = w",
    b"[a]\nHF_TOKEN = hf_A\nExpires_At = 1\n",
    b"[a]\nhf_token =\n",
    b"[a]\n[b]\n\n[c]",
    b"[b]\nk = 1\n[a]\nk = 2\n",
    b"[a]\nother = x\nexpires_at = 1\nhf_token = y\n",
    // Comments stand on lines of their own, indented or not.
    b"# c\n; c\n[a]\n # c\n\t; c\nhf_token = hf_A # data\nx = ; data\ny = a;b#c\n",
    b"[a]\nk = v\n# c\n more\n ; c\n again\n",
    b"[a]\nk = #v\n",
    // Headers reach to the last bracket; the rest is ignored.
    b"[a] trailing\nk = v\n",
    b"[a]b]c\nk = v\n",
    b"[[x]]\nk = v\n[]]\nk = v\n[]x]\nk = v\n[ ]\nk = v\n[a]]\nk = v\n",
    b"[ a ]\nk = v\n[a]\nk = v\n",
    b"[a=b]\nk = v\n[a:b]\nk = v\n[%(x)s]\nk = %v%%\n[#h]\nk = v\n[;s]\nk = v\n",
    b"[]\nk = v\n",
    b"[a\nk = v\n",
    b"[a]\n[k = v\n",
    b"[a]\n[k = v]\n",
    b"[a]\n[] = v\n",
    b"[a]\nk] = v\n",
    b"  [a]\n  k = v\n  l = w\n",
    b"[a]\nk = v\n [b]\n",
    b"[a]\n k = v\nl = w\n",
    b"[a]\n  k = v\n l = w\n   m\n",
    // A value goes on in lines that are indented further.
    b"[a]\nk = v\n more = x\n\tand\n\n\n  on\n\n",
    b"[a]\nk =\n v\n",
    b"[a]\nk =\n\n v\n\n",
    b"[a]\nk = v\n\n\nl = w\n",
    b"[a]\n\n v\n",
    b"[a]\nk = v\\\nl = w\n",
    b"[a]\nk = \"v\"\nl = 'w' x\nm = \\n\\t\\\\\n",
    "[a]\nk = v\n\u{a0}nbsp continues\n\u{2003}so does this\n".as_bytes(),
    "[a]\nk = \u{85}v\u{2028}\u{1c}\n\u{2028} more\n".as_bytes(),
    b"[a]\n\x1fk\x1c=\x1dv\x1e\n",
    b"[a]\nk\x0bl\x0c=\x0bv\x0cw\x0b\n\x0cmore\n",
    b"[a]\nk\x00 = \x00v\x1b[2J\n[\x00]\nk = v\n",
    // Keys.
    b"[a]\nk k\t k = v\n",
    "[a]\nSTRASSE ÄÖÜ ΑΣ ΣΑΣ.Σ İ ẞ Ǆ = v\n".as_bytes(),
    "[a]\nÄ = 1\nä = 2\n".as_bytes(),
    "[a]\nK = 1\nk = 2\n".as_bytes(),
    b"[a]\nK = 1\nk = 2\n",
    b"[a]\nk = 1\nk: 2\n",
    b"[a]\nbare\n",
    b"[a]\nk = v\nbare\n",
    b"[a]\n= v\n",
    b"[a]\n : v\n",
    // Sections.
    b"[a]\nk = 1\n[a]\nl = 2\n",
    b"[a]\nk = 1\n[b]\nk = 1\n[a] again\n",
    b"[a]\nk = 1\n[A]\nk = 2\n",
    b"k = v\n[a]\n",
    b"{\"a\": \"hf_A\"}",
    b"\xef\xbb\xbf[a]\nk = v\n",
    b"\xef\xbb\xbf\n",
    b"\n\xef\xbb\xbf# c\n",
    "[a]\n\u{feff}k = v\n".as_bytes(),
    "[🤗 名前]\nhf_token = hf_É\n[ｚ]\nk = v\n[\u{10000}]\nk = v\n[\u{ffff}]\nk = v\n".as_bytes(),
    // DEFAULT is in every section.
    b"[DEFAULT]\nhf_token = d\nx = 1\n[a]\n[b]\ny = 2\nx = 3\n",
    b"[a]\nk = 1\n[DEFAULT]\nx = 1\n[b]\nk = 2\n[DEFAULT]\ny = 2\n",
    b"[DEFAULT]\nx = 1\n[DEFAULT]\nX = 2\n[a]\n",
    b"[DEFAULT]\nx = 1\n",
    b"[default]\nx = 1\n[Default]\nx = 2\n[DEFAULT ]\nx = 3\n",
    b"[DEFAULT]\nx = 1\n y\n[a]\nx =\n",
    b"[DEFAULT]\nc = 1\nb = 2\na = 3\n[s]\na = 4\nz = 5\nb = 6\n",
    // Bytes that are no UTF-8.
    b"[a]\nk = \xff\n",
    b"[a]\nk = \xed\xa0\x80\n",
    b"[a]\nk = v\xc3",
    b"# \xe9\n[a]\nk = v\n",
];

/// Pieces of which nasty files are made.
const PIECES: &[&str] = &[
    "[",
    "]",
    "=",
    ":",
    " ",
    "  ",
    "\t",
    "\n",
    "\n",
    "\n",
    "\r",
    "\r\n",
    "#",
    ";",
    "a",
    "b",
    "K",
    "v",
    "[a]",
    "[b]",
    "\n[c]\n",
    "\n[DEFAULT]\n",
    "DEFAULT",
    "k = v",
    "\nk = v\n",
    "\nl: w\n",
    "\n\tmore\n",
    "hf_token = hf_A",
    "\n\n",
    "\\",
    "\"",
    "'",
    "%",
    "%(k)s",
    "\u{0}",
    "\u{b}",
    "\u{c}",
    "\u{1c}",
    "\u{1f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{3000}",
    "\u{200b}",
    "\u{feff}",
    "É",
    "Σ",
    "İ",
    "🤗",
];

/// Lines of which files are made that are often right: each of the first at most once, since a
/// repeated header or key is an error.
const LINES: &[&str] = &[
    "[a]",
    "[b]",
    "[A]",
    "[a b]",
    "[a]]",
    " [c]",
    "[d] x",
    "[DEFAULT]",
    "[e=f]",
    "[[g]",
    "hf_token = hf_A",
    "HF_TOKEN: x",
    "refresh_token = rt_1",
    "expires_at = 17",
    "k = v",
    " k = v",
    "  l = w",
    "K=1",
    "m = a = b",
    "n : #x",
    "o = ; x",
    "p\t=\tq ",
    "É = é",
    "ΑΣ = σ",
    "empty =",
    "k\u{b}= v",
    "x = \u{2028}y\u{85}",
    "q = \\",
    "r = \"s\"",
    "[\u{0}]",
    "[t = u",
];
const FILLERS: &[&str] = &[
    "# c",
    "  ; c",
    "\t# c",
    "",
    "",
    " ",
    "\t",
    " more",
    "   more = x",
    "\tand [b]",
    "\u{a0}nbsp",
    "\u{1c}fs",
];
const ERRORS: &[&str] = &["bare", "= v", "[", "[]", "[h", "k = v", "[a]"];

const ENDINGS: &[&str] = &["\n", "\n", "\n", "\n", "\n", "\r\n", "\r"];

#[test]
fn python_reads_and_writes_the_same() {
    let mut cases: Vec<Vec<u8>> = HAND_MADE.iter().map(|case| case.to_vec()).collect();
    let mut random = Random::new(2026);
    let files = number_of_files();
    cases.extend((0..files * 3 / 10).map(|_| nasty(&mut random)));
    cases.extend((0..files * 7 / 10).map(|_| plausible(&mut random)));
    cases.extend(corpus());

    let as_text: Vec<String> = cases.iter().map(|case| latin_1(case)).collect();
    let answers = ask(SCRIPT, &as_text);
    assert_eq!(answers.len(), cases.len());
    for (case, expected) in cases.iter().zip(&answers) {
        assert_eq!(&ours(case), expected, "{:?}", String::from_utf8_lossy(case));
    }

    // A generator that makes only rubbish, or none, proves nothing.
    let rejected = answers.iter().filter(|answer| answer.is_null()).count();
    let sections = |answer: &Value| answer["sections"].as_array().map_or(0, Vec::len);
    let several = answers.iter().filter(|answer| sections(answer) > 1).count();
    assert!(
        rejected > files * 3 / 20 && several > files * 3 / 20,
        "{rejected} rejected, {several} with sections"
    );
}

/// `tests/run --full` has more of them.
#[allow(clippy::disallowed_methods)] // the crate is pure, its tests need not be
fn number_of_files() -> usize {
    match std::env::var("HFD_TEST_FILES") {
        Ok(files) => files.parse().expect("HFD_TEST_FILES is a number"),
        Err(_) => 20_000,
    }
}

/// What `tests/fuzz/run` came upon, where it asks for it.
#[allow(clippy::disallowed_methods)]
fn corpus() -> Vec<Vec<u8>> {
    let Some(directory) = std::env::var_os("HFD_TEST_CORPUS") else {
        return Vec::new();
    };
    let files = std::fs::read_dir(directory).expect("HFD_TEST_CORPUS is a directory");
    let files: std::io::Result<Vec<_>> = files.map(|file| std::fs::read(file?.path())).collect();
    files.expect("its files can be read")
}

#[test]
fn a_large_file_is_read_as_python_reads_it() {
    let mut file = String::from("[DEFAULT]\nx = 1\n");
    for number in 0..4096 {
        let kind = if number % 2 == 0 { "a" } else { "b" };
        file += &format!("[{kind} {number}]\nhf_token = hf_{number}\nexpires_at = {number}\n\n");
    }
    assert_eq!(ours(file.as_bytes()), ask(SCRIPT, &[&file])[0]);
}

#[test]
fn python_reads_whatever_can_be_set_and_nothing_else_is_refused() {
    let mut random = Random::new(1991);
    let mut documents = Vec::new();
    for _ in 0..12_000 {
        let plain = random.once_in(2);
        let section = if plain {
            "a".to_owned()
        } else {
            random.string(PIECES, 4)
        };
        let key = if plain {
            "k".to_owned()
        } else {
            random.string(PIECES, 4)
        };
        let value = random.string(PIECES, 8);
        let mut document = Document::new();
        let set = document.set(&section, &key, &value);
        // Written as Python writes it, which says nothing about what that means.
        let raw = format!("[{section}]\n{key} = {}\n\n", value.replace('\n', "\n\t"));
        let once = json!([[section, [[key, value]]]]);
        assert_eq!(
            ours(raw.as_bytes())["sections"] == once,
            set.is_ok(),
            "{set:?} {once}"
        );
        if set.is_ok() {
            assert_eq!(*document.to_bytes(), raw.as_bytes());
            documents.push((raw, once));
        }
    }

    let files: Vec<_> = documents
        .iter()
        .map(|(raw, _)| latin_1(raw.as_bytes()))
        .collect();
    let answers = ask(SCRIPT, &files);
    for ((raw, once), answer) in documents.iter().zip(&answers) {
        assert_eq!(&answer["sections"], once, "{raw:?}");
        assert_eq!(answer["written"], **raw);
    }
    assert!(answers.len() > 1_000, "{} accepted", answers.len());
}

/// What the crate makes of a file, in the form of the script's answer.
fn ours(content: &[u8]) -> Value {
    let Ok(document) = Document::parse(content) else {
        return Value::Null;
    };
    let sections: Vec<_> = document
        .sections()
        .map(|(name, entries)| (name, entries.collect::<Vec<_>>()))
        .collect();
    let written = document.to_bytes();
    assert_eq!(
        written.capacity(),
        written.len(),
        "a reallocation leaves a copy behind"
    );
    json!({ "sections": sections, "written": String::from_utf8_lossy(&written) })
}

fn nasty(random: &mut Random) -> Vec<u8> {
    let mut file = if random.once_in(3) {
        String::new()
    } else {
        "[a]\n".to_owned()
    };
    file += &random.string(PIECES, 14);
    broken(file, random)
}

fn plausible(random: &mut Random) -> Vec<u8> {
    let mut unused = LINES.to_vec();
    let mut file = random
        .pick(&["", "[first]\n", "[first]\nhf_token = hf_F\n"])
        .to_owned();
    for _ in 0..random.below(10) {
        file += match random.below(25) {
            0 => random.pick(ERRORS),
            1..=9 => random.pick(FILLERS),
            _ => unused.swap_remove(random.below(unused.len())),
        };
        file += random.pick(ENDINGS);
    }
    broken(file, random)
}

/// Now and then with a byte changed to any other.
fn broken(file: String, random: &mut Random) -> Vec<u8> {
    let mut file = file.into_bytes();
    if random.once_in(20) && !file.is_empty() {
        let place = random.below(file.len());
        file[place] = random.below(256) as u8;
    }
    file
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}
