//! See [`crate::store::fuzzing`].

use super::guard::State;
use super::opened;
use crate::store::Ticket;
use redis::{FromRedisValue as _, parse_redis_value};

/// However the bytes come, the guard's verdict is the same. A reply that it lets pass ends for the library where it ends for
/// the guard, so that the library never keeps more than one; and none of them makes a session that was not sealed here.
pub(in crate::store) fn replies(bytes: &[u8], size: usize, ticket: &Ticket) {
    let (starts, verdict) = starts(bytes, 1);
    for size in [size.max(1), bytes.len().max(1)] {
        assert_eq!(self::starts(bytes, size).1, verdict, "the verdict depends on how bytes come");
    }
    let ends = starts.iter().skip(1);
    for (from, to) in starts.iter().zip(ends) {
        let reply = bytes.get(*from..*to).unwrap_or_default();
        let (_, cut) = reply.split_last().expect("a reply has at least its kind and an end");
        assert!(parse_redis_value(cut).is_err(), "it ends sooner for the library");
        match parse_redis_value(reply) {
            Ok(value) => {
                let value = value.extract_error().and_then(|value| {
                    Option::<Vec<u8>>::from_redis_value(value).map_err(Into::into)
                });
                let record = opened(ticket, value);
                assert!(record.is_err(), "nobody sealed it");
            }
            Err(error) => {
                assert!(!error.is_io_error(), "the library waits for more: {error}");
                // It reads nothing behind that.
                return;
            }
        }
    }
    let rest = starts.last().and_then(|from| bytes.get(*from..)).unwrap_or_default();
    assert!(!verdict || parse_redis_value(rest).is_err(), "it has an end for the library only");
}

/// Offsets at which no reply is under way, from 0, and whether all bytes pass.
fn starts(bytes: &[u8], size: usize) -> (Vec<usize>, bool) {
    let (mut state, mut starts, mut at) = (State::Start, vec![0], 0);
    for piece in bytes.chunks(size) {
        let Ok(next) = state.after(piece) else { return (starts, false) };
        state = next;
        at += piece.len();
        if matches!(state, State::Start) {
            starts.push(at);
        }
    }
    (starts, true)
}
