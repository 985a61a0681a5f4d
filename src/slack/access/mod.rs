//! Slack's access log (`team.accessLogs`), polled: true changes out of a list that has none.
//!
//! A row of the list is a combination of user, address and user agent, with its first and last use
//! and the count of its uses. It is no event: used again, it changes where it stands, deep in a list
//! that is ordered by the first use. So the list is read in two ways: a cheap **poll** of its newest
//! rows at every `poll_every`, and a **walk** through all of it at every `full_walk_every`. What a row
//! says is compared with what is remembered of it, and the difference is an entry:
//!
//! ```text
//!  settings ─▶ poller ──▶ place ──▶ Slack            poller   which request next: poll or walk
//!  bookmark ─▶ reader                                reader   a page, beside what is remembered
//!                │                                   place    where in the list: pages, `before`, cursors
//!                ▼                                   row      what identifies a row, and what counts
//!  Step::Recall(keys) ─▶ compare(memos) ─▶ Page      memo     what is remembered of a combination
//!                                                    news     a row and its memo, made an entry
//! ```
//!
//! **The entry** is the row as Slack sent it, with one key more, `slackcef`, an object that holds
//! what is not Slack's: `action` (`access_first_seen`: a combination that was not there before;
//! `access_seen_again`: one that was), `id`, `row` (the same for all entries of a combination), `uses`
//! (how many uses are new; the sum over a combination's entries is its count), and where they apply
//! `previous_count`, `previous_date_last`, `began_anew` and `team_id` (that of the settings). Its time
//! is `date_last`. The id is made of the combination, `date_first`, `date_last` and the count: told
//! twice, an entry bears the same one.
//!
//! **What counts as a change:** another `count`, or a later `date_last` (then `uses` may be 0). A lower
//! count with a later last use means that Slack began to count anew: all of it is new. So is the same
//! combination with another `date_first`; up to sixteen such beginnings of one combination are told
//! apart. A row that says less than is remembered, and is not later, is an old copy, and no news.
//!
//! **`start`:** of a row that is met for the first time and was last used before it, nothing is told,
//! but it is remembered. With `now` the first walk thus lays the ground in silence.
//!
//! **How far a poll goes:** until a page holds only rows that are known, older than the last reading,
//! and unchanged; or known, older and changed for the third time: what old rows do is found by
//! the walk, and a poll that followed every change would be one.
//!
//! **Invariant:** entries, memos and bookmark leave together, in one page.
//! **Invariant:** a row is never left out for its shape; what is no object is counted.
//! **Invariant:** no reading goes on for ever: each page must lead further down the list.

mod bookmark;
mod memo;
mod news;
mod place;
mod poller;
mod reader;
mod row;
mod settings;

pub(super) use bookmark::read_up_to;
pub use poller::Poller;
pub use settings::Settings;
