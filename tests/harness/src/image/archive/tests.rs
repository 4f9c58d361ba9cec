use std::collections::BTreeMap;

use super::*;
use crate::image::Tree;

type Step<'a> = Box<dyn Fn(&mut Tree) + 'a>;

fn image(content: &Path, reversed: bool) -> Image {
    let mut tree = Tree::new();
    let mut steps: Vec<Step<'_>> = vec![
        Box::new(|tree| tree.bytes("/etc/greeting", "hello", 0o644)),
        Box::new(|tree| tree.copy("/bin/program", content, 0o755)),
        Box::new(|tree| tree.link("/bin/other", "program")),
        Box::new(|tree| tree.folder("/tmp", 0o1777)),
    ];
    if reversed {
        steps.reverse();
    }
    for step in steps {
        step(&mut tree);
    }
    Image::new("example.com/a/b:1.2", tree, &["/bin/program"])
}

fn entries(file: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(File::open(file).unwrap());
    tar.entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect()
}

#[test]
fn same_content_gives_the_same_bytes_whatever_order_and_times() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    fs::write(&first, "program").unwrap();
    fs::write(&second, "program").unwrap();
    let later =
        fs::metadata(&first).unwrap().modified().unwrap() + std::time::Duration::from_secs(9);
    File::options().append(true).open(&second).unwrap().set_modified(later).unwrap();
    let (a, b) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
    write(&image(&first, false), &a).unwrap();
    write(&image(&second, true), &b).unwrap();
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn other_content_gives_another_digest() {
    let folder = tempfile::tempdir().unwrap();
    let (program, out) = (folder.path().join("p"), folder.path().join("a.tar"));
    fs::write(&program, "one").unwrap();
    write(&image(&program, false), &out).unwrap();
    let first = describe(&out).unwrap();
    fs::write(&program, "two").unwrap();
    write(&image(&program, false), &out).unwrap();
    let second = describe(&out).unwrap();
    assert_eq!(first[0].name, "example.com/a/b:1.2");
    assert_ne!(first[0].digest, second[0].digest);
}

#[test]
fn every_blob_is_named_by_its_digest_and_referenced_once() {
    let folder = tempfile::tempdir().unwrap();
    let (program, out) = (folder.path().join("p"), folder.path().join("a.tar"));
    fs::write(&program, "program").unwrap();
    write(&image(&program, false), &out).unwrap();
    let entries = entries(&out);
    let blobs: Vec<_> = entries
        .iter()
        .filter_map(|(name, content)| Some((name.strip_prefix("blobs/sha256/")?, content)))
        .collect();
    assert_eq!(blobs.len(), 3);
    for (digest, content) in &blobs {
        assert_eq!(**digest, hex(&Sha256::digest(content)));
    }
    let docker: Value = serde_json::from_slice(&entries["manifest.json"]).unwrap();
    assert!(entries.contains_key(docker[0]["Config"].as_str().unwrap()));
    assert!(entries.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
    assert_eq!(docker[0]["RepoTags"][0], "example.com/a/b:1.2");
}

#[test]
fn layer_keeps_modes_and_links_and_no_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (program, layer) = (folder.path().join("p"), folder.path().join("layer"));
    fs::write(&program, "program").unwrap();
    let packed = File::create(&layer).unwrap();
    image(&program, false).tree.write_tar(packed).unwrap();
    let mut tar = tar::Archive::new(File::open(&layer).unwrap());
    let mut seen = BTreeMap::new();
    for entry in tar.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.uid().unwrap() + header.gid().unwrap(), 0);
        assert_eq!(header.mtime().unwrap(), 0);
        let path = entry.path().unwrap().display().to_string();
        seen.insert(path.trim_end_matches('/').to_owned(), header.mode().unwrap());
    }
    assert_eq!(seen["bin/program"], 0o755);
    assert_eq!(seen["etc/greeting"], 0o644);
    assert_eq!(seen["tmp"], 0o1777);
    assert!(seen.contains_key("bin/other") && seen.contains_key("etc"));
}

#[test]
fn what_is_no_image_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.tar");
    tar::Builder::new(File::create(&file).unwrap()).into_inner().unwrap();
    let error = describe(&file).unwrap_err().to_string();
    assert!(error.contains("x.tar") && error.contains("index.json"), "{error}");
}
