use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::suggest::unknown;
use crate::{Error, Result};

/// One field of a configuration replaced from the command line: `--set trainer.steps=200`.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    key: String,
    text: String,
}

impl std::str::FromStr for Override {
    type Err = String;

    fn from_str(argument: &str) -> std::result::Result<Self, String> {
        match argument.split_once('=') {
            Some((key, text)) if !key.trim().is_empty() => Ok(Self {
                key: key.trim().to_owned(),
                text: text.trim().to_owned(),
            }),
            _ => Err(format!("expected key=value, as steps=200, got '{argument}'")),
        }
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.key, self.text)
    }
}

impl Override {
    /// The value in TOML terms; what TOML does not read is a string, so that no shell quoting is needed.
    fn value(&self) -> Value {
        let document = format!("value = {}", self.text);
        match document.parse::<Table>() {
            Ok(mut table) if table.len() == 1 => table
                .remove("value")
                .unwrap_or_else(|| Value::String(self.text.clone())),
            _ => Value::String(self.text.clone()),
        }
    }
}

/// The canonical form of a configuration: a table with sorted keys.
///
/// By way of the text, so that a configuration and its `config.toml` are the same table: an f32 is written with
/// its own digits and read as f64.
pub(crate) fn to_table<C: Serialize>(config: &C, origin: &str) -> Result<Table> {
    let fail = |reason: String| Error::Config {
        origin: origin.to_owned(),
        reason,
    };
    let text = toml::to_string(config).map_err(|error| fail(error.to_string()))?;
    text.parse()
        .map_err(|error: toml::de::Error| fail(error.to_string()))
}

/// The SHA-256 of a configuration, in hexadecimal. The order in which fields are declared does not enter.
///
/// # Errors
///
/// [`Error::Config`] if the configuration cannot be written as TOML.
pub fn config_hash<C: Serialize>(config: &C) -> Result<String> {
    let table = to_table(config, "to hash")?;
    let text = toml::to_string(&table).map_err(|error| Error::Config {
        origin: "to hash".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(hex(&Sha256::digest(text.as_bytes())))
}

/// Replaces fields of a configuration one by one.
///
/// # Errors
///
/// [`Error::Unknown`] for a field that does not exist, [`Error::Value`] for a value that does not fit it.
pub(crate) fn apply<C: Serialize + DeserializeOwned + Clone>(
    config: &C,
    overrides: &[Override],
) -> Result<C> {
    let mut config = config.clone();
    for change in overrides {
        let mut table = to_table(&config, "before --set")?;
        let known = known_keys(&table);
        let existed = lookup(&table, &change.key).is_some();
        if !insert(&mut table, &change.key, change.value()) {
            return Err(unknown("configuration key", &change.key, &borrow(&known)));
        }
        match table.try_into::<C>() {
            Ok(changed) => {
                // An optional field that is unset is missing from the table: it is known if it survives.
                let survived = lookup(&to_table(&changed, "after --set")?, &change.key).is_some();
                if !survived && !existed {
                    return Err(unknown("configuration key", &change.key, &borrow(&known)));
                }
                config = changed;
            }
            Err(error) if existed || !error.message().contains("unknown field") => {
                return Err(Error::Value {
                    key: change.key.clone(),
                    value: change.text.clone(),
                    reason: one_line(error.message()),
                });
            }
            Err(_) => return Err(unknown("configuration key", &change.key, &borrow(&known))),
        }
    }
    Ok(config)
}

/// Reads a configuration that was written before, as the `config.toml` of a run.
///
/// # Errors
///
/// [`Error::Unknown`] for a key the configuration does not have, [`Error::Config`] for anything else.
pub(crate) fn parse<C: Serialize + DeserializeOwned>(text: &str, like: &C, origin: &str) -> Result<C> {
    let fail = |reason: String| Error::Config {
        origin: origin.to_owned(),
        reason,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = text
        .parse::<Table>()
        .map_err(|error| fail(one_line(&error.to_string())))?;
    let given = known_keys(&table);
    let expected = known_keys(&to_table(like, origin)?);
    let config: C = table.try_into().map_err(|error: toml::de::Error| {
        let strange = given.iter().find(|key| !expected.contains(key));
        match strange {
            Some(key) if error.message().contains("unknown field") => {
                unknown("configuration key", key, &borrow(&expected))
            }
            _ => fail(one_line(error.message())),
        }
    })?;
    let kept = to_table(&config, origin)?;
    match given.iter().find(|key| lookup(&kept, key).is_none()) {
        Some(key) => Err(unknown("configuration key", key, &borrow(&expected))),
        None => Ok(config),
    }
}

/// The fields in which two configurations differ, as `steps: 100 -> 200`.
pub(crate) fn differences(old: &Table, new: &Table) -> Vec<String> {
    let mut keys = known_keys(old);
    keys.extend(known_keys(new));
    keys.sort();
    keys.dedup();
    let shown = |value: Option<&Value>| value.map_or_else(|| "unset".to_owned(), ToString::to_string);
    keys.into_iter()
        .filter_map(|key| {
            let (before, after) = (lookup(old, &key), lookup(new, &key));
            // Tables are compared by their leaves; one that is on one side only shows up through them.
            let table = matches!(before, Some(Value::Table(_))) || matches!(after, Some(Value::Table(_)));
            (before != after && !table).then(|| format!("{key}: {} -> {}", shown(before), shown(after)))
        })
        .collect()
}

/// All dotted paths of a table, inner nodes included.
fn known_keys(table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, value) in table {
        keys.push(key.clone());
        if let Value::Table(inner) = value {
            keys.extend(known_keys(inner).into_iter().map(|rest| format!("{key}.{rest}")));
        }
    }
    keys
}

fn lookup<'a>(table: &'a Table, path: &str) -> Option<&'a Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((head, rest)) => lookup(table.get(head)?.as_table()?, rest),
    }
}

/// Puts a value at a dotted path; false if the path leads through something that is no table.
fn insert(table: &mut Table, path: &str, value: Value) -> bool {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
            true
        }
        Some((head, rest)) => match table.get_mut(head) {
            Some(Value::Table(inner)) => insert(inner, rest, value),
            _ => false,
        },
    }
}

fn borrow(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        steps: u64,
        rate: f64,
        name: String,
        warmup: Option<u64>,
        matching: Matching,
        optimizer: Optimizer,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Matching {
        Off,
        Upsampled { repeat: usize },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Optimizer {
        beta: f64,
        peak_rate: f64,
    }

    fn config() -> Config {
        Config {
            steps: 100,
            rate: 0.5,
            name: "x".to_owned(),
            warmup: None,
            matching: Matching::Upsampled { repeat: 3 },
            optimizer: Optimizer {
                beta: 0.9,
                peak_rate: 1e-3,
            },
        }
    }

    fn set(text: &str) -> Result<Config> {
        apply(&config(), &[text.parse().unwrap()])
    }

    #[test]
    fn override_sets_nested_optional_and_enum_fields() {
        assert_eq!(set("steps=7").unwrap().steps, 7);
        assert_eq!(set("rate=1").unwrap().rate, 1.0);
        assert_eq!(set("name=plain words").unwrap().name, "plain words");
        assert_eq!(set("warmup=5").unwrap().warmup, Some(5));
        assert_eq!(set("optimizer.beta=0.8").unwrap().optimizer.beta, 0.8);
        assert_eq!(
            set("matching.upsampled.repeat=4").unwrap().matching,
            Matching::Upsampled { repeat: 4 }
        );
        assert_eq!(set("matching=off").unwrap().matching, Matching::Off);
    }

    #[test]
    fn unknown_configuration_key_names_the_nearest() {
        for (text, meant) in [
            ("stpes=7", "'steps'"),
            ("optimizer.peek_rate=1", "'optimizer.peak_rate'"),
            ("optimiser.beta=1", "'optimizer.beta'"),
        ] {
            let error = set(text).unwrap_err();
            assert!(matches!(error, Error::Unknown { .. }), "{error:?}");
            assert!(
                error.to_string().contains(&format!("did you mean {meant}")),
                "{error}"
            );
        }
    }

    #[test]
    fn value_that_does_not_fit_says_which_field() {
        let error = set("steps=many").unwrap_err();
        assert!(matches!(error, Error::Value { .. }), "{error:?}");
        assert!(
            error.to_string().contains("steps") && error.to_string().contains("many"),
            "{error}"
        );
    }

    #[test]
    fn written_configuration_is_read_back_and_strange_keys_are_refused() {
        let text = toml::to_string(&config()).unwrap();
        assert_eq!(parse(&text, &config(), "file").unwrap(), config());
        assert_eq!(
            parse(&format!("\u{feff}{text}"), &config(), "file").unwrap(),
            config()
        );
        let error = parse(&text.replace("peak_rate", "peak_rat"), &config(), "file").unwrap_err();
        assert!(
            error.to_string().contains("did you mean 'optimizer.peak_rate'"),
            "{error}"
        );
    }

    #[test]
    fn configuration_hash_changes_with_any_field_and_not_with_field_order() {
        #[derive(Serialize)]
        struct Swapped {
            b: u64,
            a: u64,
        }
        #[derive(Serialize)]
        struct Ordered {
            a: u64,
            b: u64,
        }
        assert_eq!(
            config_hash(&Swapped { b: 2, a: 1 }).unwrap(),
            config_hash(&Ordered { a: 1, b: 2 }).unwrap()
        );
        assert_ne!(
            config_hash(&config()).unwrap(),
            config_hash(&set("steps=101").unwrap()).unwrap()
        );
        assert_eq!(config_hash(&config()).unwrap().len(), 64);
    }

    #[test]
    fn configuration_and_its_file_have_the_same_hash() {
        #[derive(Serialize)]
        struct Single {
            nested: Swapped,
            rate: f32,
            seed: i64,
        }
        #[derive(Serialize)]
        struct Swapped {
            b: f32,
        }
        let config = Single {
            nested: Swapped { b: 0.1 },
            rate: 1e-3,
            seed: -1,
        };
        let file: Table = toml::to_string(&config).unwrap().parse().unwrap();
        assert_eq!(config_hash(&config).unwrap(), config_hash(&file).unwrap());
    }

    #[test]
    fn differences_name_field_and_both_values() {
        let old = to_table(&config(), "old").unwrap();
        let new = to_table(
            &apply(&config(), &["optimizer.beta=0.8".parse().unwrap()]).unwrap(),
            "new",
        )
        .unwrap();
        assert_eq!(differences(&old, &new), ["optimizer.beta: 0.9 -> 0.8"]);
    }
}
