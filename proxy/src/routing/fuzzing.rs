//! The path of a request target, for [`crate::fuzzing`].

use super::path::{NormalPath, Normalised, cleaned};
use http::uri::PathAndQuery;

impl NormalPath {
    /// Whether `test` holds however the path is read. False for a path with too many readings.
    pub(crate) fn always(&self, test: impl FnMut(&str) -> bool) -> bool {
        self.readings().is_some_and(|mut readings| readings.all(test))
    }
}

/// A path that is taken is in its final form: what goes upstream is taken again and says the same, a rule for a folder covers
/// it only if every reader finds it there, and where a client is sent is a path that needs no further move.
pub(crate) fn path(bytes: &[u8]) {
    let Ok(target) = PathAndQuery::try_from(bytes) else { return };
    match NormalPath::of(&target) {
        Ok(Normalised::Path(path)) => {
            assert_eq!(cleaned(path.text()), path.text(), "{target}");
            let again = PathAndQuery::try_from(path.text()).map(|target| NormalPath::of(&target));
            let Ok(Ok(Normalised::Path(again))) = again else { panic_on(&target) };
            assert_eq!((again.text(), again.decoded()), (path.text(), path.decoded()), "{target}");
            let below = |text: &str| text.starts_with("/public/");
            if path.always(below) {
                let elsewhere = readings(path.text()).into_iter().find(|text| !below(text));
                assert_eq!(elsewhere, None, "{target} is covered by a rule for /public/");
            }
        }
        Ok(Normalised::Moved(to)) => {
            assert!(to.starts_with('/') && !to.starts_with("//"), "{target} is moved to {to}");
            let again = PathAndQuery::try_from(to.as_str()).map(|target| NormalPath::of(&target));
            assert!(matches!(again, Ok(Ok(Normalised::Path(_)))), "{target} is moved in vain");
        }
        Err(_) => {}
    }
}

fn panic_on(target: &PathAndQuery) -> ! {
    unreachable!("{target} goes upstream in a form that we would not take")
}

/// What readers make of a path who undo its escapes once or twice, take `\` for `/`, drop parameters, blanks or what is
/// behind a mark, and leave out empty and dot segments, each alone and all together.
fn readings(path: &str) -> Vec<String> {
    let once = percent_encoding::percent_decode_str(path).collect::<Vec<u8>>();
    let twice = percent_encoding::percent_decode(&once).collect::<Vec<u8>>();
    let bases =
        [path.as_bytes(), &once, &twice].map(|read| String::from_utf8_lossy(read).into_owned());
    let mut readings = Vec::new();
    for base in bases {
        for drops in 0..16 {
            let mut text = base.clone();
            if drops & 1 != 0 {
                text = text.replace('\\', "/");
            }
            if drops & 2 != 0 {
                text.truncate(text.find(['#', '?']).unwrap_or(text.len()));
            }
            if drops & 4 != 0 {
                let bare =
                    text.split('/').map(|segment| segment.split(';').next().unwrap_or(segment));
                text = bare.collect::<Vec<_>>().join("/");
            }
            if drops & 8 != 0 {
                text = text.split('/').map(str::trim).collect::<Vec<_>>().join("/");
            }
            readings.push(cleaned(&text));
        }
    }
    readings
}
