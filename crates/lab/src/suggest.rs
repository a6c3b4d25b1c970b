use crate::Error;

/// The name among `known` that is most like `name`, if one is close enough to be what was meant.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The error for a name that is not known, with the likeliest of those that are.
pub(crate) fn unknown(kind: &'static str, name: &str, known: &[&str]) -> Error {
    let suggestion = match did_you_mean(name, known.iter().copied()) {
        Some(meant) => format!(", did you mean '{meant}'?"),
        None => String::new(),
    };
    Error::Unknown {
        kind,
        name: name.to_owned(),
        suggestion,
        known: known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestion_is_the_nearest_name_or_none() {
        let known = ["steps", "warmup_steps", "lambda_match"];
        assert_eq!(did_you_mean("stpes", known), Some("steps"));
        assert_eq!(did_you_mean("lamda_match", known), Some("lambda_match"));
        assert_eq!(did_you_mean("zebra", known), None);
    }
}
