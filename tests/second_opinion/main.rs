//! A second opinion: our reading of a provider's documents and tokens beside that of `openidconnect`, and our sealed cookies in
//! the hands of `aes-gcm`. The program uses neither (docs/decisions/one-cryptographic-library.md says why), so what they say
//! is independent of it.
//!
//! Every case is judged by both. Where the verdicts differ, `differences` has the case and the reason; a difference without an
//! entry fails, and so does an entry that nothing needs.

mod cases;
mod cookies;
mod differences;
mod discovery;
mod judges;
mod keys;
mod signer;
mod tokens;

use cases::Case;
use differences::{DIFFERENCES, Stricter};
use std::collections::BTreeSet;

/// Judges every case by both, and compares; `kind` is what the names begin with.
fn compare(kind: &str, cases: &[Case]) {
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    let (mut accepted, mut refused, mut used) = (0, 0, BTreeSet::new());
    let mut unnamed = Vec::new();
    for case in cases {
        let (ours, theirs) = (judges::ours(case), judges::theirs(case));
        let stricter = match (&ours, &theirs) {
            (Ok(a), Ok(b)) if a == b => {
                accepted += 1;
                continue;
            }
            (Err(_), Err(_)) => {
                refused += 1;
                continue;
            }
            (Ok(_), Ok(_)) => Stricter::Neither,
            (Err(_), Ok(_)) => Stricter::Ours,
            (Ok(_), Err(_)) => Stricter::Theirs,
        };
        let entry = DIFFERENCES.iter().position(|d| d.is(&case.name, stricter));
        match entry {
            Some(index) => {
                used.insert(index);
            }
            None => {
                unnamed.push(format!("{}\n    ours   {ours:?}\n    theirs {theirs:?}", case.name));
            }
        }
    }
    let idle = DIFFERENCES
        .iter()
        .enumerate()
        .filter(|(index, d)| d.cases.starts_with(kind) && !used.contains(index));
    unnamed.extend(idle.map(|(_, d)| format!("nothing needs the entry {:?}", d.cases)));
    assert!(
        unnamed.is_empty(),
        "{} differences have no entry:\n{}",
        unnamed.len(),
        unnamed.join("\n")
    );
    assert!(accepted > 0 && refused > 0, "a kind of case that has one outcome only shows nothing");
}

#[test]
fn discovery_documents_are_judged_as_openidconnect_does() {
    let cases = discovery::cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    compare("discovery: ", &cases);
}

#[test]
fn key_sets_are_judged_as_openidconnect_does() {
    let cases = keys::cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    compare("keys: ", &cases);
}

#[test]
fn id_tokens_are_judged_as_openidconnect_does() {
    let cases = tokens::cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    compare("token: ", &cases);
}

#[test]
fn the_good_login_is_accepted_by_both() {
    let case = Case::good("good", "RS256");
    assert_eq!(judges::ours(&case), Ok(cases::SUBJECT.to_owned()));
    assert_eq!(judges::theirs(&case), Ok(cases::SUBJECT.to_owned()));
}
