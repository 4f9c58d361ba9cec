//! nginx as a reverse proxy, set up as its users do: one worker, keep-alive to the upstream, a buffered access log.

use crate::Outcome;
use crate::process::{Process, free, pinned};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/nginx";

/// Starts it in front of `upstream`, with everything it writes below `folder`.
pub(crate) fn start(folder: &Path, upstream: SocketAddr) -> Outcome<Process> {
    if !Path::new(PROGRAM).exists() {
        return Err("nginx is missing: apt-get install nginx".into());
    }
    let (address, folder) = (free()?, folder.join("nginx"));
    fs::create_dir_all(&folder)?;
    let at = folder.display();
    let config = format!(
        "daemon off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log {at}/access.log combined buffer=64k flush=1s;\n  keepalive_requests 1000000000;\n\
           client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n  fastcgi_temp_path {at}/f;\n\
           uwsgi_temp_path {at}/u;\n  scgi_temp_path {at}/s;\n  proxy_buffers 16 64k;\n  proxy_buffer_size 64k;\n\
           large_client_header_buffers 8 64k;\n  client_max_body_size 0;\n  tcp_nodelay on;\n\
           upstream app {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}\n\
           server {{\n    listen {address};\n    location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host; }}\n  }}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), config)?;
    let mut command = pinned(PROGRAM);
    command
        .arg("-c")
        .arg(folder.join("nginx.conf"))
        .arg("-e")
        .arg(folder.join("error.log"))
        .arg("-p")
        .arg(&folder);
    Process::start(&mut command, address, &folder.join("output"))
}

/// Its size on disk.
pub(crate) fn size() -> u64 {
    fs::metadata(PROGRAM).map_or(0, |metadata| metadata.len())
}
