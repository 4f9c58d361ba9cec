//! Whether a live object already holds what is wanted, so that nothing is written.
//!
//! The API server adds defaults and rewrites quantities (`0.5` becomes `500m`), so equality would always find a
//! difference. Extra entries of lists belong to someone else and are not ours to count, but for what has one owner as a
//! whole: selectors, and the sources of a projected volume, of which the last one counts.

use serde_json::Value;

/// Whether `live` holds all of `wanted`.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| match live.get(key) {
                Some(live) if key == "requests" || key == "limits" => quantities(live, wanted),
                Some(live) if key == "selector" => live == wanted,
                Some(live) if key == "sources" => covers_each(live, wanted),
                Some(live) => covers(live, wanted),
                None => empty(wanted),
            })
        }
        (Value::Array(live), Value::Array(wanted)) => {
            if wanted.iter().all(Value::is_object) {
                wanted.iter().all(|wanted| live.iter().any(|live| covers(live, wanted)))
            } else {
                live == wanted
            }
        }
        (live, wanted) => live == wanted,
    }
}

/// Entry by entry, and no more of them.
fn covers_each(live: &Value, wanted: &Value) -> bool {
    let (Some(live), Some(wanted)) = (live.as_array(), wanted.as_array()) else {
        return live == wanted;
    };
    live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        // Go leaves zero values out of what it stores.
        Value::Bool(value) => !value,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
    }
}

fn quantities(live: &Value, wanted: &Value) -> bool {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else {
        return live == wanted;
    };
    wanted.iter().all(|(name, wanted)| {
        live.get(name).is_some_and(|live| {
            live == wanted
                || matches!((live.as_str().and_then(nano), wanted.as_str().and_then(nano)), (Some(a), Some(b)) if a == b)
        })
    })
}

/// A quantity in billionths (resource.Quantity of the API: decimal and binary suffixes, exponents).
fn nano(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (multiplier, divisor): (i128, i128) = match suffix {
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "" => (1, 1),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (10_i128.pow(15), 1),
        "E" => (10_i128.pow(18), 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => match suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()? {
            power @ 0..=18 => (10_i128.pow(power.unsigned_abs()), 1),
            power @ -9..=-1 => (1, 10_i128.pow(power.unsigned_abs())),
            _ => return None,
        },
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 9 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    digits.checked_mul(multiplier)?.checked_div(divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_and_extra_entries_are_no_difference() {
        let wanted = json!({"name": "p", "ports": [{"containerPort": 4180}], "args": ["a"]});
        let live = json!({"name": "p", "ports": [{"containerPort": 4180, "protocol": "TCP"}], "args": ["a"], "env": [{"name": "X"}]});
        assert!(covers(&live, &wanted));
    }

    #[test]
    fn a_changed_value_is_a_difference() {
        let wanted = json!({"image": "a", "args": ["a", "b"], "ports": [{"containerPort": 4180}]});
        for live in [
            json!({"image": "b", "args": ["a", "b"], "ports": [{"containerPort": 4180}]}),
            json!({"image": "a", "args": ["a"], "ports": [{"containerPort": 4180}]}),
            json!({"image": "a", "args": ["a", "b"], "ports": [{"containerPort": 4181}]}),
            json!({"image": "a", "args": ["a", "b"]}),
        ] {
            assert!(!covers(&live, &wanted), "{live}");
        }
    }

    #[test]
    fn what_has_one_owner_is_compared_as_a_whole() {
        let wanted = json!({"selector": {"a": "b"}, "sources": [{"secret": {"name": "one"}}, {"secret": {"name": "two"}}]});
        assert!(covers(&wanted, &wanted));
        let mut narrowed = wanted.clone();
        narrowed["selector"]["c"] = json!("d");
        assert!(!covers(&narrowed, &wanted), "it selects nothing");
        let mut more = wanted.clone();
        more["sources"].as_array_mut().unwrap().push(json!({"secret": {"name": "three"}}));
        assert!(!covers(&more, &wanted), "its files would hide ours");
        let mut reversed = wanted.clone();
        reversed["sources"].as_array_mut().unwrap().reverse();
        assert!(!covers(&reversed, &wanted));
    }

    #[test]
    fn quantities_are_compared_by_value() {
        let requests =
            |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
        assert!(covers(&requests("500m", "1Gi"), &requests("0.5", "1024Mi")));
        assert!(covers(&requests("1", "1k"), &requests("1e0", "1000")));
        assert!(covers(&requests("1", "1Pi"), &requests("1.0", "1024Ti")));
        assert!(covers(&requests("1", "1E"), &requests("1", "1e18")));
        assert!(!covers(&requests("500m", "1Gi"), &requests("0.5", "1G")));
    }
}
