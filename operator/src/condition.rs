//! Conditions by the conventions of the API: the transition time moves only when the status flips.

use crds::{ConditionType, Reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Longest message that the API takes is 32 KiB; nobody reads that much.
const LONGEST_MESSAGE: usize = 4096;

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl State {
    /// The text in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A decided condition, without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Which.
    pub(crate) type_: ConditionType,
    /// Whether.
    pub(crate) state: State,
    /// Why.
    pub(crate) reason: Reason,
    /// Why, in words, and what to do.
    pub(crate) message: String,
    /// The same for where the message is told already.
    short: Option<String>,
}

impl Decision {
    /// A decision.
    pub(crate) fn new(
        type_: ConditionType,
        state: State,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, state, reason, message: message.into(), short: None }
    }

    /// With fewer words for where the message is told already.
    pub(crate) fn shortened(self, short: String) -> Self {
        Self { short: Some(short), ..self }
    }

    /// What is said of it beside the condition itself.
    pub(crate) fn in_short(&self) -> &str {
        self.short.as_ref().unwrap_or(&self.message)
    }

    /// The condition, with the time of `before` unless its status differs.
    pub(crate) fn into_condition(
        self,
        before: &[Condition],
        generation: Option<i64>,
        now: Timestamp,
    ) -> Condition {
        let same = find(before, self.type_).filter(|old| old.status == self.state.as_str());
        let mut message = self.message;
        if message.len() > LONGEST_MESSAGE {
            let end =
                (0..=LONGEST_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
            message.truncate(end);
        }
        Condition {
            type_: self.type_.as_str().to_owned(),
            status: self.state.as_str().to_owned(),
            reason: self.reason.as_str().to_owned(),
            message,
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    }
}

/// The condition of a type.
pub(crate) fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == type_.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let decide = |state| Decision::new(ConditionType::Ready, state, Reason::Ready, "text");
        let first = decide(State::True).into_condition(&[], Some(1), at(10));
        let second =
            decide(State::True).into_condition(std::slice::from_ref(&first), Some(2), at(20));
        assert_eq!(second.last_transition_time, Time(at(10)));
        assert_eq!(second.observed_generation, Some(2));
        let third = decide(State::False).into_condition(&[second], Some(2), at(30));
        assert_eq!(third.last_transition_time, Time(at(30)));
    }
}
