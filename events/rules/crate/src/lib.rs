//! Which votes a contest admits.
//!
//! Two questions are answered here, in the same way wherever a vote is judged:
//! whether some JSON is a well-formed vote (`ballot::read`), and whether a
//! contest admits a vote (`Contest::judge`). Nothing else is known here, no
//! clock, no network and no chance: the same bytes give the same answer.
//!
//! The crate needs neither an allocator nor the standard library. `door` is what
//! a WebAssembly host sees of it; README.md in the folder above tells how to call
//! it.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod ballot;
pub mod bytes;
pub mod contest;
#[cfg(target_arch = "wasm32")]
mod door;
pub mod json;
pub mod roster;
#[rustfmt::skip]
mod tables;
pub mod text;
pub mod time;
pub mod unicode;
