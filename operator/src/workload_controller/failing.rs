//! Turns that fail one after the other: what passes by itself is no news, and what lasts is told in the API server's words.

use crate::failure::{Failure, FailureClass};
use crate::inject::Refusal;
use crds::Reason;

/// Turns in a row that have to fail before that is told: some ten seconds.
const LASTING: u32 = 4;
/// The same for writes that meet others, which are tried again at once.
const CONTENDED: u32 = 10;

/// How the last turns of one workload ended.
#[derive(Default)]
pub(super) struct Failing {
    /// Turns in a row that did not end well, the one under way included.
    turns: u32,
    /// Whether the last one ended at all. One that takes too long is given up from outside.
    ended: bool,
}

impl Failing {
    /// Notes that a turn begins; what is to be told of those before it.
    pub(super) fn begin(&mut self) -> Option<Refusal> {
        let hung = self.turns >= LASTING && !self.ended;
        self.turns = self.turns.saturating_add(1);
        self.ended = false;
        hung.then(|| lasting("its turns are not done within a minute: the API server, or an admission webhook, does not answer"))
    }

    /// Notes how the turn ended; what is to be told of that.
    pub(super) fn end<T>(&mut self, ended: &Result<T, Failure>) -> Option<Refusal> {
        self.ended = true;
        let Err(failure) = ended else {
            self.turns = 0;
            return None;
        };
        let words = &failure.message;
        match failure.class {
            FailureClass::Refused => {
                let text = format!("the API server refuses it: {words}");
                Some(Refusal::new(Reason::ApiRefused, text))
            }
            FailureClass::Api if self.turns >= LASTING => Some(lasting(words)),
            FailureClass::Conflict if self.turns >= CONTENDED => Some(lasting(words)),
            FailureClass::Api
            | FailureClass::Conflict
            | FailureClass::User
            | FailureClass::Defect => None,
        }
    }
}

fn lasting(words: &str) -> Refusal {
    let text = format!(
        "the API server does not do what is needed, time and again: {words}; it is tried again"
    );
    Refusal::new(Reason::ApiFailure, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn turn(failing: &mut Failing, ended: &Result<(), Failure>) -> Option<Reason> {
        failing.begin();
        failing.end(ended).map(|refusal| refusal.reason)
    }

    #[test]
    fn what_passes_is_no_news_and_what_lasts_is_told() {
        let mut failing = Failing::default();
        let away = || Err(Failure::timeout(Duration::from_mins(1)));
        for _ in 0..3 {
            let told: Vec<_> = (0..4).map(|_| turn(&mut failing, &away())).collect();
            assert_eq!(told, [None, None, None, Some(Reason::ApiFailure)]);
            assert_eq!(turn(&mut failing, &Ok(())), None);
        }
        let met = || Err(Failure::conflict("meanwhile"));
        let told: Vec<_> = (0..10).map(|_| turn(&mut failing, &met())).collect();
        assert!(told[..9].iter().all(Option::is_none));
        assert_eq!(told[9], Some(Reason::ApiFailure));
    }

    #[test]
    fn turns_that_never_end_are_told_by_the_next() {
        let mut failing = Failing::default();
        let told: Vec<_> = (0..5).map(|_| failing.begin().is_some()).collect();
        assert_eq!(told, [false, false, false, false, true]);
        failing.end(&Ok(()));
        assert_eq!(failing.begin(), None);
    }
}
