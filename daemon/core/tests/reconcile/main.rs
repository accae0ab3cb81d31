//! The merge of a mirror's files with the store: a table of one name's past, present and file,
//! stories of what tools do, and properties of whole histories.

mod model;
mod observe;
mod properties;
mod stories;
mod table;
mod world;
