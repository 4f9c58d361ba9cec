//! Writes and reads image archives: an OCI image layout in a tar, with the `manifest.json` that
//! `docker load` asks for beside it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::components::hex;
use crate::error::{Doing as _, Error, Result};
use crate::image::Image;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const NAME: &str = "io.containerd.image.name";

/// The name and digest of an image in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Full name with the tag.
    pub name: String,
    /// Digest of its manifest.
    pub digest: String,
}

struct Blob {
    digest: String,
    content: Content,
    size: u64,
}

enum Content {
    Bytes(Vec<u8>),
    File(PathBuf),
}

/// Writes `image` to `out`, replacing it in one step.
///
/// # Errors
/// A file of the image cannot be read, or `out` not written.
pub fn write(image: &Image, out: &Path) -> Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
    }
    let layer_file = out.with_extension("layer");
    let result = write_with(image, &layer_file, out);
    let _ = fs::remove_file(&layer_file);
    result
}

fn write_with(image: &Image, layer_file: &Path, out: &Path) -> Result<()> {
    let layer = pack(image, layer_file)?;
    let config = blob(&image.config(&layer.digest));
    let manifest = blob(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config.digest, "size": config.size},
        "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size}],
    }));
    let tag = image.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": manifest.digest,
            "size": manifest.size,
            "annotations": {NAME: image.name, "org.opencontainers.image.ref.name": tag},
        }],
    });
    let docker = json!([{
        "Config": path(&config),
        "RepoTags": [image.name],
        "Layers": [path(&layer)],
    }]);
    let partial = out.with_extension("partial");
    let file = File::create(&partial).doing(|| format!("write {}", partial.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(file));
    let layout = json!({"imageLayoutVersion": "1.0.0"});
    for (name, document) in
        [("oci-layout", layout), ("index.json", index), ("manifest.json", docker)]
    {
        add(&mut tar, name, &blob(&document))?;
    }
    for part in [&manifest, &config, &layer] {
        add(&mut tar, &path(part), part)?;
    }
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .and_then(|()| fs::rename(&partial, out))
        .doing(|| format!("write {}", out.display()))
}

/// Packs the layer into `file`, and takes its digest on the way.
fn pack(image: &Image, file: &Path) -> Result<Blob> {
    let out = File::create(file).doing(|| format!("write {}", file.display()))?;
    let mut hashing = Hashing { out: BufWriter::new(out), hash: Sha256::new(), size: 0 };
    image.tree.write_tar(&mut hashing)?;
    Ok(Blob {
        digest: format!("sha256:{}", hex(&hashing.hash.finalize())),
        content: Content::File(file.to_path_buf()),
        size: hashing.size,
    })
}

struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.size += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn blob(document: &Value) -> Blob {
    let bytes = document.to_string().into_bytes();
    Blob {
        digest: format!("sha256:{}", hex(&Sha256::digest(&bytes))),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        content: Content::Bytes(bytes),
    }
}

fn path(blob: &Blob) -> String {
    format!("blobs/{}", blob.digest.replace(':', "/"))
}

fn add(tar: &mut tar::Builder<impl Write>, name: &str, blob: &Blob) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(blob.size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    match &blob.content {
        Content::Bytes(bytes) => tar.append_data(&mut header, name, bytes.as_slice()),
        Content::File(path) => {
            File::open(path).and_then(|file| tar.append_data(&mut header, name, file))
        }
    }
    .doing(|| format!("pack {name}"))
}

/// The images in the archive `file`.
///
/// # Errors
/// It cannot be read or is no image archive.
pub fn describe(file: &Path) -> Result<Vec<Described>> {
    let damaged =
        |reason: &str| Error::Damaged { path: file.to_path_buf(), reason: reason.to_owned() };
    let doing = || format!("read {}", file.display());
    let mut tar = tar::Archive::new(BufReader::new(File::open(file).doing(doing)?));
    for entry in tar.entries().doing(doing)? {
        let mut entry = entry.doing(doing)?;
        if entry.path().doing(doing)?.as_os_str() != "index.json" {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).doing(doing)?;
        let index: Value =
            serde_json::from_str(&text).map_err(|error| damaged(&error.to_string()))?;
        let manifests = index.get("manifests").and_then(Value::as_array);
        return manifests
            .and_then(|list| list.iter().map(described).collect())
            .ok_or_else(|| damaged("its index.json names no images"));
    }
    Err(damaged("no image archive: it has no index.json"))
}

fn described(manifest: &Value) -> Option<Described> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Described {
        name: text(manifest.get("annotations")?.get(NAME)?)?,
        digest: text(manifest.get("digest")?)?,
    })
}

#[cfg(test)]
mod tests;
