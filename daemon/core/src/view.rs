//! What a mode shows of the index in a mirror. The merge compares files with this and never with
//! the index itself, so that no mode is a special case anywhere else.

use hfd_proto::Mode;

use crate::model::{Base, Index, Mirror, Print, Record};

/// What the files of `mirror` should hold; `None` for a mirror that holds nothing of ours and is
/// not to be touched.
pub fn view(index: &Index, mirror: &Mirror) -> Option<Base> {
    if index.locked {
        // As if there were no tokens; what a tool writes meanwhile is imported, and hidden again.
        return (mirror.mode != Mode::Off).then(Base::default);
    }
    let active = mirror
        .active
        .as_ref()
        .and_then(|name| index.tokens.get_key_value(name));
    let sections = match mirror.mode {
        Mode::Off => return None,
        Mode::Files | Mode::Runtime => index
            .tokens
            .iter()
            .filter(|(_, record)| record.named)
            .collect::<Vec<_>>(),
        Mode::ActiveOnly => active
            .into_iter()
            .filter(|(_, record)| record.named)
            .collect(),
    };
    Some(Base {
        sections: sections
            .into_iter()
            .map(|(name, record)| (name.clone(), shown(index, mirror, record)))
            .collect(),
        token: active.map(|(_, record)| record.access),
    })
}

/// What `mirror` shows of a token that it shows.
pub(crate) fn shown(index: &Index, mirror: &Mirror, record: &Record) -> Print {
    let withheld = index.withhold && !mirror.handed_back;
    Print {
        // Absent, not empty: huggingface_hub would try to use an empty one.
        refresh: record.refresh.filter(|_| !withheld),
        ..Print::from(record)
    }
}
