//! x
mod json;
mod path;
mod pick;
mod text;
