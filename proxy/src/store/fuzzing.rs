//! What a ticket and a Redis server may say, for [`crate::fuzzing`].

use super::Ticket;
use proxy_config::SessionFormat;

const NAME: &str = "_oauth2_proxy";

/// A ticket is read as it was written or refused; what names its record stands in front, in one form.
pub(crate) fn ticket(bytes: &[u8]) {
    let Some(ticket) = Ticket::from_bytes(NAME, bytes) else { return };
    for format in [SessionFormat::V1, SessionFormat::V2] {
        let written = ticket.to_bytes(format);
        let again = Ticket::from_bytes(NAME, &written).expect("what was written is read");
        assert_eq!(again.to_bytes(format), written, "it reads differently");
        assert_eq!((again.id(), again.secret()), (ticket.id(), ticket.secret()));
        let (issuer, kept) = (again.issuer(), format == SessionFormat::V2);
        assert_eq!(issuer, ticket.issuer().filter(|_| kept), "it is bound to another issuer");
    }
    let head = [&ticket.number()[..], ticket.secret()].concat();
    assert!(bytes.starts_with(&head));
    let id = ticket.id();
    let number = id.strip_prefix(NAME).and_then(|rest| rest.strip_prefix('-')).expect("its name");
    let digits: Vec<_> = ticket.number().iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    assert!(
        number
            .chars()
            .map(|digit| digit.to_digit(16))
            .eq(digits.into_iter().map(|d| Some(d.into())))
    );
}

/// The first byte says how many bytes come at once, the rest is what a Redis server answers.
pub(crate) fn replies(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let ticket = Ticket::from_bytes(NAME, &[7; 48]).expect("a ticket of the first format");
    super::redis::fuzzing::replies(bytes, usize::from(*size), &ticket);
}
