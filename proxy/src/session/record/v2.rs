//! Version 2: [`crate::fields`], so that something can be added without a third version. Numbers are never used for
//! something else. Times are milliseconds since the epoch by our clock, or seconds by the provider's.

use super::RecordError;
use crate::fields::{self, Fields, Malformed, room};
use crate::identity::Identity;
use crate::session::{Binding, Captured, Fingerprint, Login, Opened, Session, Token, TokenKinds};
use jiff::Timestamp;

pub(super) const VERSION: u8 = 2;

const ID: u64 = 1;
const PROVIDER: u64 = 2;
const ISSUER: u64 = 3;
/// Absent: 0.
const CREDENTIALS: u64 = 4;
const SUBJECT: u64 = 5;
const PROVIDER_SESSION: u64 = 6;
const LOGIN_AT: u64 = 7;
/// Absent: the login.
const CREATED_AT: u64 = 8;
/// Absent: the last refresh.
const SEEN_AT: u64 = 9;
const ISSUED_AT: u64 = 10;
const AUTH_TIME: u64 = 11;
const ACR: u64 = 12;
const AMR: u64 = 13;
const EXPIRES_AT: u64 = 14;
const ACCESS_TOKEN: u64 = 15;
const ID_TOKEN: u64 = 16;
const REFRESH_TOKEN: u64 = 17;
const NONCE: u64 = 18;
/// Absent: the subject.
const USER: u64 = 19;
const EMAIL: u64 = 20;
const GROUPS: u64 = 21;
const PREFERRED_USERNAME: u64 = 22;
/// 1 access token, 2 ID token, 4 refresh token; absent: 0.
const LEFT_OUT: u64 = 23;
const CLAIMS_ASKED: u64 = 24;
/// For each claim: number of its values plus one, in decimal, name, values.
const CLAIMS: u64 = 25;

/// The record of a session.
pub(super) fn encode(session: &Session, binding: &Binding) -> Opened {
    let Session {
        provider,
        binding: _,
        login,
        created_at,
        seen_at,
        expires_at,
        access_token,
        id_token,
        refresh_token,
        left_out,
        nonce,
        identity,
        claims,
    } = session;
    let mut fields = Fields::after(&[VERSION], size_bound(session));
    fields.bytes(ID, &binding.id);
    fields.text(PROVIDER, Some(provider));
    fields.bytes(ISSUER, &binding.issuer.0);
    login_fields(&mut fields, login);
    fields.signed(CREATED_AT, later(*created_at, login.at));
    fields.signed(SEEN_AT, later(*seen_at, *created_at));
    fields.signed(ISSUED_AT, login.issued_at);
    fields.signed(AUTH_TIME, login.auth_time);
    fields.text(ACR, login.acr.as_deref());
    fields.list(AMR, login.amr.iter().map(String::as_str));
    fields.signed(EXPIRES_AT, expires_at.map(Timestamp::as_millisecond));
    fields.text(ACCESS_TOKEN, access_token.as_ref().map(Token::as_str));
    fields.text(ID_TOKEN, id_token.as_ref().map(Token::as_str));
    fields.text(REFRESH_TOKEN, refresh_token.as_ref().map(Token::as_str));
    if let Some(nonce) = nonce {
        fields.bytes(NONCE, nonce);
    }
    let Identity { user, email, groups, preferred_username } = identity;
    let own = login.subject.as_ref() != Some(user);
    fields.text(USER, Some(user.as_str()).filter(|_| own));
    fields.text(EMAIL, email.as_deref());
    fields.list(GROUPS, groups.iter().map(String::as_str));
    fields.text(PREFERRED_USERNAME, preferred_username.as_deref());
    claim_fields(&mut fields, *left_out, claims);
    fields.finish()
}

fn login_fields(fields: &mut Fields, login: &Login) {
    if login.credentials != 0 {
        fields.number(CREDENTIALS, login.credentials.into());
    }
    fields.text(SUBJECT, login.subject.as_deref());
    fields.text(PROVIDER_SESSION, login.provider_session.as_deref());
    fields.signed(LOGIN_AT, Some(login.at.as_millisecond()));
}

fn claim_fields(fields: &mut Fields, left_out: TokenKinds, claims: &Captured) {
    let TokenKinds { access_token, id_token, refresh_token } = left_out;
    let bits = u64::from(access_token) | u64::from(id_token) << 1 | u64::from(refresh_token) << 2;
    if bits != 0 {
        fields.number(LEFT_OUT, bits);
    }
    fields.list(CLAIMS_ASKED, claims.asked.iter().map(String::as_str));
    let flat: Vec<String> = claims
        .values
        .iter()
        .flat_map(|(name, values)| {
            let count = (values.len() + 1).to_string();
            [count, name.clone()].into_iter().chain(values.iter().cloned())
        })
        .collect();
    fields.list(CLAIMS, flat.iter().map(String::as_str));
}

/// A time to the millisecond, unless it is the one that stands for it where it is absent.
fn later(time: Timestamp, otherwise: Timestamp) -> Option<i64> {
    Some(time.as_millisecond()).filter(|time| *time != otherwise.as_millisecond())
}

fn size_bound(session: &Session) -> usize {
    let Session {
        provider, login, access_token, id_token, refresh_token, identity, claims, ..
    } = session;
    let tokens = [access_token, id_token, refresh_token].into_iter().flatten().map(Token::as_str);
    let names = [&login.subject, &login.provider_session, &login.acr]
        .into_iter()
        .chain([&identity.email, &identity.preferred_username])
        .flatten()
        .chain([provider, &identity.user])
        .chain(login.amr.iter().chain(&identity.groups).chain(&claims.asked))
        .chain(claims.values.iter().flat_map(|(name, values)| std::iter::once(name).chain(values)));
    let texts = tokens.chain(names.map(String::as_str));
    // Beside the texts: the fields of fixed size, and the counts of claims.
    texts.fold(512, |sum, text| sum + room(text.len())) + claims.values.len() * room(20)
}

/// What is read before it is known to be whole.
#[derive(Default)]
struct Partial {
    id: Option<[u8; 16]>,
    provider: Option<String>,
    issuer: Option<[u8; 8]>,
    login: Login,
    login_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    seen_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    access_token: Option<Token>,
    id_token: Option<Token>,
    refresh_token: Option<Token>,
    nonce: Option<[u8; 32]>,
    user: Option<String>,
    identity: Identity,
    left_out: TokenKinds,
    claims: Captured,
}

/// Reads what stands behind the version.
pub(super) fn decode(body: &[u8]) -> Result<Session, RecordError> {
    let mut partial = Partial::default();
    for field in fields::read(body) {
        let (number, value) = field?;
        partial.take(number, value)?;
    }
    partial.whole().ok_or(RecordError::Malformed)
}

impl Partial {
    fn take(&mut self, number: u64, value: &[u8]) -> Result<(), Malformed> {
        match number {
            ID => self.id = Some(fields::array(value)?),
            PROVIDER => self.provider = Some(text(value)?),
            ISSUER => self.issuer = Some(fields::array(value)?),
            CREDENTIALS => {
                self.login.credentials =
                    fields::number(value)?.try_into().map_err(|_| Malformed)?;
            }
            SUBJECT => self.login.subject = Some(text(value)?),
            PROVIDER_SESSION => self.login.provider_session = Some(text(value)?),
            LOGIN_AT => self.login_at = Some(time(value)?),
            CREATED_AT => self.created_at = Some(time(value)?),
            SEEN_AT => self.seen_at = Some(time(value)?),
            ISSUED_AT => self.login.issued_at = Some(fields::signed(value)?),
            AUTH_TIME => self.login.auth_time = Some(fields::signed(value)?),
            ACR => self.login.acr = Some(text(value)?),
            AMR => self.login.amr = fields::list(value)?,
            EXPIRES_AT => self.expires_at = Some(time(value)?),
            ACCESS_TOKEN => self.access_token = Some(Token::new(fields::text(value)?)),
            ID_TOKEN => self.id_token = Some(Token::new(fields::text(value)?)),
            REFRESH_TOKEN => self.refresh_token = Some(Token::new(fields::text(value)?)),
            NONCE => self.nonce = Some(fields::array(value)?),
            USER => self.user = Some(text(value)?),
            EMAIL => self.identity.email = Some(text(value)?),
            GROUPS => self.identity.groups = fields::list(value)?,
            PREFERRED_USERNAME => self.identity.preferred_username = Some(text(value)?),
            LEFT_OUT => self.left_out = left_out(fields::number(value)?)?,
            CLAIMS_ASKED => self.claims.asked = fields::list(value)?,
            CLAIMS => self.take_claims(fields::list(value)?)?,
            other => fields::unknown(other)?,
        }
        Ok(())
    }

    fn take_claims(&mut self, flat: Vec<String>) -> Result<(), Malformed> {
        let mut flat = flat.into_iter();
        while let Some(count) = flat.next() {
            let count: usize = count.parse().map_err(|_| Malformed)?;
            let name = flat.next().ok_or(Malformed)?;
            let values: Vec<String> = flat.by_ref().take(count.saturating_sub(1)).collect();
            if values.len() + 1 != count || self.claims.values.insert(name, values).is_some() {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    fn whole(self) -> Option<Session> {
        let login_at = self.login_at?;
        let created_at = self.created_at.unwrap_or(login_at);
        let user = self.user.or_else(|| self.login.subject.clone())?;
        Some(Session {
            provider: self.provider?,
            binding: Some(Binding { id: self.id?, issuer: Fingerprint(self.issuer?) }),
            login: Login { at: login_at, ..self.login },
            created_at,
            seen_at: self.seen_at.unwrap_or(created_at),
            expires_at: self.expires_at,
            access_token: self.access_token,
            id_token: self.id_token,
            refresh_token: self.refresh_token,
            left_out: self.left_out,
            nonce: self.nonce,
            identity: Identity { user, ..self.identity },
            claims: self.claims,
        })
    }
}

fn text(value: &[u8]) -> Result<String, Malformed> {
    fields::text(value).map(str::to_owned)
}

fn time(value: &[u8]) -> Result<Timestamp, Malformed> {
    Timestamp::from_millisecond(fields::signed(value)?).map_err(|_| Malformed)
}

/// A bit that is not known is a token that we do not know to be missing.
fn left_out(bits: u64) -> Result<TokenKinds, Malformed> {
    if bits > 7 {
        return Err(Malformed);
    }
    Ok(TokenKinds {
        access_token: bits & 1 != 0,
        id_token: bits & 2 != 0,
        refresh_token: bits & 4 != 0,
    })
}
