//! Every number against a naive recount; every form against a reader of its own.

mod anonymity;
mod bounds;
mod collateral;
mod made;
mod page;
mod quiet;
mod recount;
mod sheets;
mod tops;
