//! Who is connected to the protected port of this pod without going through the proxy, read from the kernel's tables of
//! connections, which all containers of a pod share.

use crate::thread::on_own_thread;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// How many sources are listed; the total counts all.
const LISTED: usize = 50;
const ESTABLISHED: &str = "01";
/// A probe is over by then, whatever address the kubelet's node has in the pod's network; a client that stays is not.
const LASTING: Duration = Duration::from_millis(1100);

/// A connection by its remote end.
type Remote = (IpAddr, u16);

/// Connections by source.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Direct {
    port: u16,
    total: usize,
    sources: Vec<Source>,
}

#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Source {
    address: IpAddr,
    count: usize,
}

/// The connections to `port` that are established and stay so. Those from loopback and from `node`, which probes, are left
/// out. The kernel takes long to print a table with many connections, so it is read where that holds nobody up.
pub(super) async fn lasting(port: u16, node: Option<IpAddr>) -> Direct {
    let table = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    let read = move || remotes(&[table("/proc/net/tcp"), table("/proc/net/tcp6")], port, node);
    // Without a thread nothing is found this time.
    let now = || async { on_own_thread("direct", read).await.unwrap_or_default() };
    let mut found = now().await;
    if !found.is_empty() {
        tokio::time::sleep(LASTING).await;
        let later = now().await;
        found.retain(|remote| later.contains(remote));
    }
    counted(&found, port)
}

fn remotes(tables: &[String], port: u16, node: Option<IpAddr>) -> BTreeSet<Remote> {
    let node = node.map(|node| node.to_canonical());
    let lines = tables.iter().flat_map(|table| table.lines());
    lines
        .filter_map(|line| remote(line, port))
        .filter(|(address, _)| !address.is_loopback() && node != Some(*address))
        .collect()
}

fn counted(remotes: &BTreeSet<Remote>, port: u16) -> Direct {
    let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (address, _) in remotes {
        *counts.entry(*address).or_default() += 1;
    }
    let sources =
        counts.into_iter().take(LISTED).map(|(address, count)| Source { address, count }).collect();
    Direct { port, total: remotes.len(), sources }
}

/// The remote end of an established connection to `port`; none for any other line (proc(5), `/proc/net/tcp`).
fn remote(line: &str, port: u16) -> Option<Remote> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, local_port) = local.split_once(':')?;
    if state != ESTABLISHED || u16::from_str_radix(local_port, 16).ok()? != port {
        return None;
    }
    let (remote, remote_port) = remote.split_once(':')?;
    Some((address(remote)?, u16::from_str_radix(remote_port, 16).ok()?))
}

/// Words of 32 bits in the byte order of the machine, as the kernel prints them; an IPv4 address inside IPv6 is unified.
fn address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    let mut rest = hex;
    while !rest.is_empty() {
        let (word, tail) = rest.split_at_checked(8)?;
        bytes.extend(u32::from_str_radix(word, 16).ok()?.to_ne_bytes());
        rest = tail;
    }
    if let Ok(four) = <[u8; 4]>::try_from(&*bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    /// One line as the kernel of a little-endian machine prints it.
    fn line(local: &str, remote: &str, state: &str) -> String {
        format!(
            "   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0"
        )
    }

    fn table(lines: &[String]) -> String {
        format!("{HEAD}\n{}\n", lines.join("\n"))
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn only_established_connections_from_outside_to_the_port_are_counted() {
        let four = table(&[
            line("00000000:1F90", "00000000:0000", "0A"),
            line("0500000A:1F90", "0700000A:C350", "01"),
            line("0500000A:1F90", "0700000A:C351", "01"),
            line("0500000A:1F90", "0700000A:C352", "06"),
            line("0500000A:1054", "0800000A:C353", "01"),
            line("0100007F:1F90", "0100007F:C354", "01"),
            line("0500000A:1F90", "0100000A:C355", "01"),
        ]);
        let six = table(&[
            line(
                "0000000000000000FFFF00000500000A:1F90",
                "0000000000000000FFFF00000700000A:C356",
                "01",
            ),
            line(
                "B80D0120000000000000000005000000:1F90",
                "B80D0120000000000000000009000000:C357",
                "01",
            ),
            line(
                "00000000000000000000000001000000:1F90",
                "00000000000000000000000001000000:C358",
                "01",
            ),
        ]);
        let found = remotes(&[four, six], 8080, Some("10.0.0.1".parse().unwrap()));
        let direct = counted(&found, 8080);
        let sources: Vec<_> = direct
            .sources
            .iter()
            .map(|source| (source.address.to_string(), source.count))
            .collect();
        assert_eq!(sources, [("10.0.0.7".to_owned(), 3), ("2001:db8::9".to_owned(), 1)]);
        assert_eq!((direct.port, direct.total), (8080, 4));
    }

    #[test]
    fn lines_of_another_form_are_passed_over() {
        for text in [
            "",
            "x",
            "0: 0:1F90 0:0 01",
            "0: 00000000:1F90 zz:0 01",
            "0: 00000000 00000000:0000 01",
            "0: 00000000:1F90 00000000 01",
        ] {
            assert_eq!(remote(text, 8080), None, "{text}");
        }
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn at_most_fifty_sources_are_listed_and_all_are_counted() {
        let lines: Vec<_> =
            (0..60).map(|i| line("0500000A:1F90", &format!("{i:02X}00010A:C350"), "01")).collect();
        let direct = counted(&remotes(&[table(&lines)], 8080, None), 8080);
        assert_eq!((direct.sources.len(), direct.total), (50, 60));
    }

    #[test]
    fn a_real_connection_is_found_in_the_kernels_table() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let found: Vec<_> = table.lines().filter_map(|line| remote(line, port)).collect();
        assert_eq!(
            found,
            [("127.0.0.1".parse::<IpAddr>().unwrap(), client.local_addr().unwrap().port())]
        );
    }
}
