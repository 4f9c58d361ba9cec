//! Version 1: postcard. Fields are never reordered or dropped. Reading is bounded by the input: every text is borrowed from
//! it before it is copied. It can not be added to, and does not say who issued the session nor when the login was.

use super::RecordError;
use crate::identity::Identity;
use crate::session::{Login, Opened, Session, Token};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub(super) const VERSION: u8 = 1;

/// Times are milliseconds since the epoch.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    provider: &'a str,
    created_at: i64,
    expires_at: Option<i64>,
    access_token: Option<&'a str>,
    id_token: Option<&'a str>,
    refresh_token: Option<&'a str>,
    nonce: Option<[u8; 32]>,
    user: &'a str,
    email: Option<&'a str>,
    #[serde(borrow)]
    groups: Vec<&'a str>,
    preferred_username: Option<&'a str>,
}

/// The record of a session; what it has no field for is lost.
pub(super) fn encode(session: &Session) -> Opened {
    let Session {
        provider,
        created_at,
        expires_at,
        access_token,
        id_token,
        refresh_token,
        nonce,
        identity,
        binding: _,
        login: _,
        seen_at: _,
        left_out: _,
        claims: _,
    } = session;
    let Identity { user, email, groups, preferred_username } = identity;
    let record = Record {
        provider,
        created_at: created_at.as_millisecond(),
        expires_at: expires_at.map(Timestamp::as_millisecond),
        access_token: access_token.as_ref().map(Token::as_str),
        id_token: id_token.as_ref().map(Token::as_str),
        refresh_token: refresh_token.as_ref().map(Token::as_str),
        nonce: *nonce,
        user,
        email: email.as_deref(),
        groups: groups.iter().map(String::as_str).collect(),
        preferred_username: preferred_username.as_deref(),
    };
    let mut bytes = Vec::with_capacity(size_bound(&record));
    bytes.push(VERSION);
    Zeroizing::new(
        postcard::to_extend(&record, bytes).expect("texts and numbers always have a postcard form"),
    )
}

/// No less than the bytes of the record: a vector that grows leaves copies of the tokens behind.
fn size_bound(record: &Record<'_>) -> usize {
    /// Longest number, and so longest length of a text.
    const NUMBER: usize = 10;
    let tokens = [record.access_token, record.id_token, record.refresh_token];
    let texts = [Some(record.provider), Some(record.user), record.email, record.preferred_username];
    let texts = tokens.iter().chain(&texts).flatten().chain(&record.groups);
    texts.fold(128, |sum, text| sum + NUMBER + text.len())
}

/// Reads what stands behind the version.
pub(super) fn decode(body: &[u8]) -> Result<Session, RecordError> {
    let (record, rest) =
        postcard::take_from_bytes::<Record<'_>>(body).map_err(|_| RecordError::Malformed)?;
    if !rest.is_empty() {
        return Err(RecordError::Malformed);
    }
    let time = |value| Timestamp::from_millisecond(value).map_err(|_| RecordError::Malformed);
    let created_at = time(record.created_at)?;
    Ok(Session {
        login: Login { at: created_at, subject: Some(record.user.to_owned()), ..Login::default() },
        expires_at: record.expires_at.map(time).transpose()?,
        access_token: record.access_token.map(Token::new),
        id_token: record.id_token.map(Token::new),
        refresh_token: record.refresh_token.map(Token::new),
        nonce: record.nonce,
        identity: Identity {
            user: record.user.to_owned(),
            email: record.email.map(str::to_owned),
            groups: record.groups.into_iter().map(str::to_owned).collect(),
            preferred_username: record.preferred_username.map(str::to_owned),
        },
        ..Session::new(record.provider, created_at)
    })
}
