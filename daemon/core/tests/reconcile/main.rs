//! The merge of a mirror's files with the store: a table of one name's past, present and file,
//! stories of what tools do, and properties of whole histories.

mod additions;
mod effects;
mod history;
mod model;
mod modes;
mod observe;
mod properties;
mod removals;
mod stale;
mod table;
mod tool;
mod world;
