//! What is on the metrics page, as the command line chooses it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};

/// Which metrics are kept and shown, beside those that always are.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    /// Whether the times of requests are counters.
    pub counters: bool,
    /// Whether they are summaries as well.
    pub summaries: bool,
    /// The quantiles of these, as texts and as numbers.
    pub quantiles: Arc<[(String, f64)]>,
    /// Whether the time to the first answer of decoupled models is a histogram.
    pub histograms: bool,
    /// How long what is read off the machine counts as new; without it, processors and memory are not shown.
    pub machine: Option<Duration>,
    /// The same for GPUs.
    pub gpus: Option<Duration>,
}

const QUANTILES: &str = "0.5:0.05,0.9:0.01,0.95:0.001,0.99:0.001,0.999:0.001";
const FORM: &str = "counter_latencies, histogram_latencies or summary_latencies=true or false, or summary_quantiles=QUANTILE:ERROR,...";

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            counters: true,
            summaries: false,
            quantiles: quantiles(QUANTILES).unwrap_or_default().into(),
            histograms: false,
            machine: Some(Duration::from_secs(2)),
            gpus: Some(Duration::from_secs(2)),
        }
    }
}

impl MetricSettings {
    /// Reads what the command line says, one `KEY=VALUE` after the other.
    ///
    /// # Errors
    /// `INVALID_ARG` with the text that is wrong and what was expected.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut settings = Self::default();
        for text in texts {
            let fault = || Error::invalid(format!("--metrics-config `{text}`: expected {FORM}"));
            let (key, value) = text.split_once('=').ok_or_else(fault)?;
            let truth = || match value {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(fault()),
            };
            match key {
                "counter_latencies" => settings.counters = truth()?,
                "summary_latencies" => settings.summaries = truth()?,
                "histogram_latencies" => settings.histograms = truth()?,
                "summary_quantiles" => settings.quantiles = quantiles(value).ok_or_else(fault)?.into(),
                _ => return Err(fault()),
            }
        }
        Ok(settings)
    }
}

/// Reads `QUANTILE:ERROR,...`. The error is that of the rank; ours is one of the value, and smaller.
fn quantiles(text: &str) -> Option<Vec<(String, f64)>> {
    text.split(',')
        .map(|pair| {
            let (quantile, error) = pair.split_once(':')?;
            let number = |text: &str| text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
            number(error)?;
            Some((quantile.to_owned(), number(quantile)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_chooses() {
        let texts = ["counter_latencies=false", "summary_latencies=true", "summary_quantiles=0.5:0.05,0.75:0.01"];
        let settings = MetricSettings::parse(texts).expect("good");
        assert!(!settings.counters && settings.summaries && !settings.histograms);
        assert_eq!(settings.quantiles[..], [("0.5".to_owned(), 0.5), ("0.75".to_owned(), 0.75)]);
        assert_eq!(MetricSettings::default().quantiles.len(), 5);
    }

    #[test]
    fn what_is_no_setting_is_told() {
        for text in ["x", "x=1", "summary_latencies=yes", "summary_quantiles=0.5", "summary_quantiles=2:0.1"] {
            let error = MetricSettings::parse([text]).expect_err(text);
            assert!(error.message.starts_with(&format!("--metrics-config `{text}`: expected ")), "{}", error.message);
        }
    }
}
