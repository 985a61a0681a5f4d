//! Files into plans: layers laid over each other, every mistake at once.

use std::sync::Arc;

use super::book::Book;
use super::plans::Plans;
use super::stratum::Stratum;
use super::table::{At, Problems};
use super::{Layer, MappingFile};
use crate::problem::Problem;

/// Makes plans of files: the shipped ones first, then the customer's.
///
/// # Errors
/// Every mistake of every file, in the order of files and lines.
pub fn compile(files: &[MappingFile]) -> Result<Plans, Vec<Problem>> {
    let shipped = files.iter().take_while(|file| file.layer == Layer::Shipped).count();
    let lowest = Stratum::lowest(files.get(..shipped).unwrap_or_default());
    let (read, mut problems) = Stratum::read(files, Some(lowest));
    let logs = read.logs();
    if read.whole {
        // A file that can't be read may hold what would be missed.
        if logs.is_empty() {
            let help = "name a folder with mapping files, or leave `mapping` out for the shipped ones";
            problems.note(At::FIRST, "nothing-mapped", "there is no mapping file", help);
        }
        for log in logs {
            demand(&read.books(log), &mut problems);
        }
    }
    read.check_uses(&mut problems);
    let plans = if problems.is_empty() { Plans::of(read) } else { None };
    plans.ok_or_else(|| problems.sorted())
}

/// What must be there for every entry to become an event.
fn demand(books: &[Arc<Book>], problems: &mut Problems<'_>) {
    let has = |what: fn(&Book) -> bool| books.iter().any(|book| what(book));
    if !has(|book| book.vendor.is_some()) || !has(|book| book.product.is_some()) {
        let help = "one file has `[header]` with `vendor` and `product`";
        problems.note(At::FIRST, "header-missing", "no file says vendor and product", help);
    }
    if !has(|book| book.unmapped.severity.is_some()) {
        let what = "no file says what becomes of the actions that no file names";
        let help = "one file has `[unmapped]` with a `severity`";
        problems.note(At::FIRST, "catch-all-missing", what, help);
    }
}
