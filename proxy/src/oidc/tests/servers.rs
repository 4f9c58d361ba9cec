//! The provider that the tests of the whole proxy start, taken in as source: a crate of tests is no dependency of a product.
//!
//! As a part of this crate's tests it expects lints that are not raised there, and that can not itself be expected.
#![allow(unfulfilled_lint_expectations, reason = "an expectation can not expect this lint")]

#[path = "../../../../tests/src/process.rs"]
#[expect(dead_code, unreachable_pub, reason = "written for another crate, where all of it is used")]
mod process;
#[path = "../../../../tests/src/provider.rs"]
#[expect(dead_code, unreachable_pub, reason = "written for another crate, where all of it is used")]
pub(super) mod provider;
