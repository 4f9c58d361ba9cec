//! IP addresses as text, for what writes one in every request: the standard library's way takes several times as long.

use std::io::Write as _;
use std::net::IpAddr;

/// Appends the usual text of an address (RFC 5952 for IPv6).
pub(crate) fn write(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(ip) => {
            // Writing to a vector can not fail.
            let _ = write!(out, "{ip}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_text_of_the_standard_library() {
        for text in
            ["0.0.0.0", "10.1.20.255", "192.168.100.9", "::1", "2001:db8::7", "::ffff:1.2.3.4"]
        {
            let ip: IpAddr = text.parse().expect("an address");
            let mut out = b"x".to_vec();
            write(&mut out, ip);
            assert_eq!(String::from_utf8_lossy(&out), format!("x{ip}"));
        }
    }
}
