//! Serving real files from a real folder.

use super::*;
use http_body_util::BodyExt;
use proptest::prelude::*;
use std::time::{Duration, UNIX_EPOCH};
use tempfile::TempDir;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::create_dir(root.join("app")).unwrap();
    for (name, content) in [
        ("a.txt", "0123456789"),
        ("page", "  <!DOCTYPE html><p>x"),
        ("notes", "words"),
        ("data", "a\0b"),
        ("empty.css", ""),
        ("m.mjs", "1"),
        ("sub/b.js", "1"),
        ("app/index.html", "<p>app"),
        ("na me%:<b>.txt", "odd"),
    ] {
        fs::write(root.join(name), content).unwrap();
        let file = File::options().write(true).open(root.join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_millis(1_700_000_000_500)).unwrap();
    }
    fs::write(folder.path().join("secret.txt"), "outside").unwrap();
    folder
}

fn files(folder: &TempDir, prefix: &str) -> Files {
    Files { root: folder.path().join("root"), prefix: prefix.to_owned() }
}

async fn ask(
    files: &Files,
    method: Method,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Answer {
    let headers = headers
        .iter()
        .map(|(name, value)| {
            (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    let response = files.respond(&method, &target.parse().unwrap(), &headers).await;
    let (parts, body) = response.into_parts();
    let hint = http_body::Body::size_hint(&body).exact().unwrap();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    assert_eq!(hint, body.len() as u64, "the length is known before");
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn get(files: &Files, target: &str) -> Answer {
    ask(files, Method::GET, target, &[]).await
}

#[tokio::test]
async fn a_file_is_sent_with_type_time_and_length() {
    let folder = folder();
    let answer = get(&files(&folder, "/files/"), "/files/a.txt?x=1").await;
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("last-modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(answer.header("content-length"), "10");
    assert_eq!(answer.header("accept-ranges"), "bytes");
}

#[tokio::test]
async fn a_route_with_characters_that_are_escaped_in_a_request_has_its_files() {
    let folder = folder();
    for (prefix, target, status) in [
        ("/my files/", "/my%20files/a.txt", 200),
        ("/\u{e4}/", "/%c3%A4/sub/b.js", 200),
        ("/a!/", "/a%21/a.txt", 200),
        ("/a!/", "/a!/a.txt", 200),
        ("/a/", "/a%2Fa.txt", 404),
        ("/a%20b/", "/a%20b/a.txt", 404),
        ("/100%/", "/100%25/a.txt", 200),
        ("/one", "/one", 200),
    ] {
        assert_eq!(get(&files(&folder, prefix), target).await.status, status, "{prefix} {target}");
    }
}

#[tokio::test]
async fn types_come_from_the_extension_or_the_first_bytes() {
    let folder = folder();
    let files = files(&folder, "/");
    for (path, expected) in [
        ("/sub/b.js", "text/javascript; charset=utf-8"),
        ("/empty.css", "text/css; charset=utf-8"),
        ("/m.mjs", "text/javascript; charset=utf-8"),
        ("/page", "text/html; charset=utf-8"),
        ("/notes", "text/plain; charset=utf-8"),
        ("/data", "application/octet-stream"),
    ] {
        let answer = get(&files, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, expected), "{path}");
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body_and_other_methods_count_as_get() {
    let folder = folder();
    let files = files(&folder, "/");
    let response =
        files.respond(&Method::HEAD, &"/a.txt".parse().unwrap(), &HeaderMap::new()).await;
    assert_eq!(response.headers()["content-length"], "10");
    assert!(http_body::Body::is_end_stream(response.body()));
    assert_eq!(ask(&files, Method::POST, "/a.txt", &[]).await.text(), "0123456789");
}

#[tokio::test]
async fn a_folder_is_its_index_or_a_listing_and_has_a_slash_at_its_end() {
    let folder = folder();
    let files = files(&folder, "/files/");
    assert_eq!(get(&files, "/files/app/").await.text(), "<p>app");
    for (path, to) in [
        ("/files/app", "app/"),
        ("/files/sub?a=b", "sub/?a=b"),
        ("/files/app/index.html", "./"),
        ("/files/a.txt/", "../a.txt"),
    ] {
        let answer = get(&files, path).await;
        assert_eq!(
            (answer.status, answer.header("location"), answer.text()),
            (301, to, ""),
            "{path}"
        );
    }
    let listing = get(&files, "/files/").await;
    assert_eq!((listing.status, listing.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(listing.text().starts_with("<!doctype html>\n"));
    assert!(listing.text().contains("<a href=\"sub/\">sub/</a>\n"), "{}", listing.text());
    let odd = "<a href=\"na%20me%25%3A%3Cb%3E.txt\">na me%:&lt;b&gt;.txt</a>";
    assert!(listing.text().contains(odd), "{}", listing.text());
    assert_eq!(get(&files, "/files/na%20me%25%3A%3Cb%3E.txt").await.text(), "odd");
}

#[tokio::test]
async fn an_exact_route_is_the_folder_itself() {
    let folder = folder();
    let listing = get(&files(&folder, "/files"), "/files").await;
    assert!(listing.status == 200 && listing.text().contains("a.txt"));
}

#[tokio::test]
async fn one_range_is_a_part_and_others_are_the_whole() {
    let folder = folder();
    let files = files(&folder, "/");
    let answer = ask(&files, Method::GET, "/a.txt", &[("range", "bytes=2-4")]).await;
    assert_eq!((answer.status, answer.text()), (206, "234"));
    assert_eq!(answer.header("content-range"), "bytes 2-4/10");
    assert_eq!(answer.header("content-length"), "3");
    let answer = ask(&files, Method::GET, "/a.txt", &[("range", "bytes=10-")]).await;
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */10"));
    let answer = ask(&files, Method::GET, "/a.txt", &[("range", "bytes=0-1,3-4")]).await;
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
    let date = "Tue, 14 Nov 2023 22:13:20 GMT";
    for (if_range, status) in
        [(date, 206), ("Tue, 14 Nov 2023 22:13:21 GMT", 200), ("\"tag\"", 200)]
    {
        let headers = [("range", "bytes=2-4"), ("if-range", if_range)];
        assert_eq!(ask(&files, Method::GET, "/a.txt", &headers).await.status, status, "{if_range}");
    }
}

#[tokio::test]
async fn conditions_are_checked_against_the_time_of_modification() {
    let folder = folder();
    let files = files(&folder, "/");
    let (before, same) = ("Tue, 14 Nov 2023 22:13:19 GMT", "Tue, 14 Nov 2023 22:13:20 GMT");
    for (headers, status) in [
        (&[("if-modified-since", same)][..], 304),
        (&[("if-modified-since", before)], 200),
        (&[("if-modified-since", "rubbish")], 200),
        (&[("if-none-match", "\"x\""), ("if-modified-since", same)], 200),
        (&[("if-none-match", "*")], 304),
        (&[("if-unmodified-since", before)], 412),
        (&[("if-unmodified-since", same)], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-match", "*")], 200),
    ] {
        let answer = ask(&files, Method::GET, "/a.txt", headers).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.body.is_empty(), status != 200, "{headers:?}");
    }
}

#[tokio::test]
async fn nothing_outside_the_folder_is_served() {
    let folder = folder();
    let root = folder.path().join("root");
    std::os::unix::fs::symlink(folder.path().join("secret.txt"), root.join("out.txt")).unwrap();
    std::os::unix::fs::symlink("..", root.join("up")).unwrap();
    std::os::unix::fs::symlink("loop", root.join("loop")).unwrap();
    std::os::unix::fs::symlink("sub/b.js", root.join("in.js")).unwrap();
    let files = files(&folder, "/");
    for path in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub%2fb.js",
        "/a.txt%00",
        "/out.txt",
        "/up/secret.txt",
        "/up/",
        "/loop",
        "/nothing",
        "/a.txt/b",
    ] {
        let answer = get(&files, path).await;
        assert_eq!((answer.status, answer.text()), (404, "404 page not found\n"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    assert_eq!(get(&files, &format!("/{}", "x".repeat(300))).await.status, 404);
    assert_eq!(get(&files, "/in.js").await.text(), "1", "a link that stays inside");
}

#[tokio::test]
async fn a_pipe_is_not_opened() {
    let folder = folder();
    let pipe = folder.path().join("root/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(get(&files(&folder, "/"), "/pipe").await.status, 404);
}

#[tokio::test]
async fn a_root_that_is_missing_or_a_file_is_an_error_of_ours() {
    let folder = folder();
    for root in ["nowhere", "secret.txt"] {
        let files = Files { root: folder.path().join(root), prefix: "/".to_owned() };
        assert_eq!(get(&files, "/a.txt").await.status, 500, "{root}");
    }
}

#[tokio::test]
async fn a_large_file_comes_in_pieces_from_any_place() {
    let folder = folder();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(folder.path().join("root/large.bin"), &content).unwrap();
    let files = files(&folder, "/");
    assert_eq!(get(&files, "/large.bin").await.body, content);
    let part = ask(&files, Method::GET, "/large.bin", &[("range", "bytes=65537-1000000")]).await;
    assert_eq!(part.body, content[65_537..=1_000_000]);
}

#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_the_answer_off() {
    let folder = folder();
    let path = folder.path().join("root/shrinking.bin");
    fs::write(&path, vec![7; 500_000]).unwrap();
    let target = "/shrinking.bin".parse().unwrap();
    let response = files(&folder, "/").respond(&Method::GET, &target, &HeaderMap::new()).await;
    File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
    assert!(response.into_body().collect().await.is_err(), "never a short answer that looks whole");
}

proptest! {
    #[test]
    fn no_path_leads_out(path in "[/.%2eEfF5cC0a]{0,30}") {
        let files = Files { root: PathBuf::from("/root"), prefix: "/".to_owned() };
        if let Some(inside) = files.inside(&path) {
            prop_assert!(inside.components().all(|part| matches!(part, std::path::Component::Normal(_))), "{inside:?}");
        }
    }
}
