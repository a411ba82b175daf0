//! What is traced, as the command line and the network set it. Values and their texts; nothing is traced here.

use crate::error::{Error, Result};

/// What is noted of a request that is traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// When it passed the stations on its way.
    pub timestamps: bool,
    /// What its tensors held.
    pub tensors: bool,
}

impl Level {
    /// The level of these names; names that are none are passed over, as clients are used to. Nothing when no name was one.
    ///
    /// # Errors
    /// `INVALID_ARG` for `OFF` beside another.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Option<Self>> {
        let (mut level, mut off, mut found, mut count) = (Self::default(), false, false, 0);
        for name in names {
            count += 1;
            match name {
                "OFF" => off = true,
                // The two older names of the first level.
                "TIMESTAMPS" | "MIN" | "MAX" => level.timestamps = true,
                "TENSORS" => level.tensors = true,
                _ => continue,
            }
            found = true;
        }
        if off && count > 1 {
            return Err(Error::invalid("Expect only one trace level 'OFF' is specified"));
        }
        Ok(found.then_some(level))
    }

    /// Its names.
    pub fn names(self) -> Vec<&'static str> {
        let names = [("TIMESTAMPS", self.timestamps), ("TENSORS", self.tensors), ("OFF", !self.is_on())];
        names.into_iter().filter_map(|(name, set)| set.then_some(name)).collect()
    }

    /// Whether anything is noted.
    pub fn is_on(self) -> bool {
        self.timestamps || self.tensors
    }
}

/// Which requests are traced, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// What is noted.
    pub level: Level,
    /// One request of so many.
    pub rate: u32,
    /// So many requests; -1 for all.
    pub count: i32,
    /// Traces in a file; 0 for all in one.
    pub log_frequency: u32,
}

impl Default for Values {
    fn default() -> Self {
        Self { level: Level::default(), rate: 1000, count: -1, log_frequency: 0 }
    }
}

/// What is asked of one setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// To stay as it is.
    #[default]
    Keep,
    /// To be what it is without this setting: a model's is the server's, the server's is that of its start.
    Reset,
    /// To be this.
    Set(T),
}

impl<T: Copy> Change<T> {
    /// The setting after the change, where there may be none.
    pub(super) fn applied(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Keep => before,
            Self::Reset => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// What a client asks to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub(super) level: Change<Level>,
    pub(super) rate: Change<u32>,
    pub(super) count: Change<i32>,
    pub(super) log_frequency: Change<u32>,
}

impl Changes {
    /// The settings that can be changed, in the order in which they are looked at.
    pub const KEYS: [&'static str; 4] = ["trace_level", "trace_rate", "trace_count", "log_frequency"];

    /// Adds what is asked of one setting: to be reset, where no value is given.
    ///
    /// # Errors
    /// `INVALID_ARG` for a value that is none, in the protocol's words. `gap` is what the transport writes before a count that is too small.
    pub fn add(&mut self, key: &str, values: &[&str], gap: &str) -> Result<()> {
        let Some(&value) = values.first() else {
            match key {
                "trace_level" => self.level = Change::Reset,
                "trace_rate" => self.rate = Change::Reset,
                "trace_count" => self.count = Change::Reset,
                "log_frequency" => self.log_frequency = Change::Reset,
                _ => {}
            }
            return Ok(());
        };
        match key {
            "trace_level" => {
                if let Some(level) = Level::parse(values.iter().copied())? {
                    self.level = Change::Set(level);
                }
            }
            "trace_rate" => self.rate = Change::Set(number(key, value, 0, u32::MAX.into())? as u32),
            "trace_count" => {
                if let Ok(count @ ..-1) = value.parse::<i32>() {
                    return Err(Error::invalid(format!(
                        "Unable to parse 'trace_count'. Expecting value >= -1, got:{gap}{count}"
                    )));
                }
                self.count = Change::Set(number(key, value, -1, i32::MAX.into())? as i32);
            }
            "log_frequency" => self.log_frequency = Change::Set(number(key, value, 0, u32::MAX.into())? as u32),
            _ => {}
        }
        Ok(())
    }
}

fn number(key: &str, text: &str, low: i64, high: i64) -> Result<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || (low == 0 && digits != text) {
        return Err(Error::invalid(format!("Unable to parse '{key}', got: {text}")));
    }
    text.parse().ok().filter(|number| (low..=high).contains(number)).ok_or_else(|| {
        Error::invalid(format!("Unable to parse '{key}', value is out of range [ {low}, {high} ], got: {text}"))
    })
}

/// Where traces go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Into a file of JSON.
    #[default]
    Triton,
    /// To a collector, by OTLP.
    OpenTelemetry,
}

/// How spans travel to the collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// One POST for a batch.
    #[default]
    Http,
    /// One call for a batch.
    Grpc,
}

/// How traces are set up when the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Where they go.
    pub mode: Mode,
    /// What is traced until somebody changes it.
    pub values: Values,
    /// The file of Triton's mode.
    pub file: String,
    /// The collector.
    pub url: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// What the spans' resource is called: keys and values.
    pub resource: Vec<(String, String)>,
    /// Spans that may wait to be sent; more are dropped.
    pub max_queue_size: usize,
    /// How long they wait for company, in milliseconds.
    pub schedule_delay_ms: u64,
    /// Spans that are sent at a time.
    pub max_export_batch_size: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            values: Values::default(),
            file: String::new(),
            url: "http://localhost:4318/v1/traces".to_owned(),
            protocol: Protocol::default(),
            resource: vec![("service.name".to_owned(), "triton-inference-server".to_owned())],
            max_queue_size: 2048,
            schedule_delay_ms: 5000,
            max_export_batch_size: 512,
        }
    }
}

impl Setup {
    /// Reads what the command line says, one `key=value` or `mode,key=value` after the other.
    ///
    /// # Errors
    /// `INVALID_ARG` with the text that is wrong and what was expected.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let (mut setup, mut levels) = (Self::default(), Vec::new());
        for text in texts {
            let fault = |expected: &str| Error::invalid(format!("--trace-config `{text}`: expected {expected}"));
            let (key, value) = text.split_once('=').ok_or_else(|| fault("KEY=VALUE or MODE,KEY=VALUE"))?;
            let count = || value.parse().map_err(|_| fault("a number"));
            match key {
                "level" => levels.push(value),
                "rate" => setup.values.rate = value.parse().map_err(|_| fault("a number of requests"))?,
                "count" => {
                    setup.values.count =
                        value.parse().ok().filter(|&count| count >= -1).ok_or_else(|| fault("-1 or more"))?;
                }
                "mode" => {
                    setup.mode = match value {
                        "triton" => Mode::Triton,
                        "opentelemetry" => Mode::OpenTelemetry,
                        _ => return Err(fault("`triton` or `opentelemetry`")),
                    }
                }
                "triton,file" => value.clone_into(&mut setup.file),
                "triton,log-frequency" => setup.values.log_frequency = value.parse().map_err(|_| fault("a number"))?,
                "opentelemetry,url" => value.clone_into(&mut setup.url),
                "opentelemetry,protocol" => {
                    setup.protocol = match value {
                        "http/protobuf" => Protocol::Http,
                        "grpc" => Protocol::Grpc,
                        _ => return Err(fault("`http/protobuf` or `grpc`")),
                    }
                }
                "opentelemetry,resource" => {
                    let (name, value) = value.split_once('=').ok_or_else(|| fault("resource=NAME=VALUE"))?;
                    setup.resource.retain(|(known, _)| known != name);
                    setup.resource.push((name.to_owned(), value.to_owned()));
                }
                "opentelemetry,bsp_max_queue_size" => setup.max_queue_size = count()?,
                "opentelemetry,bsp_schedule_delay" => {
                    setup.schedule_delay_ms = value.parse().map_err(|_| fault("milliseconds"))?;
                }
                "opentelemetry,bsp_max_export_batch_size" => setup.max_export_batch_size = count()?,
                _ => {
                    return Err(fault(
                        "one of level, rate, count, mode; triton,file; triton,log-frequency; opentelemetry,url; \
                         opentelemetry,protocol; opentelemetry,resource; opentelemetry,bsp_*",
                    ));
                }
            }
        }
        if !levels.is_empty() {
            let known = levels.iter().all(|name| matches!(*name, "OFF" | "TIMESTAMPS" | "TENSORS" | "MIN" | "MAX"));
            let level = Level::parse(levels.iter().copied())?.filter(|_| known);
            setup.values.level = level.ok_or_else(|| {
                let found = levels.join(", ");
                Error::invalid(format!("--trace-config level `{found}`: expected OFF, TIMESTAMPS or TENSORS"))
            })?;
        }
        if setup.mode == Mode::OpenTelemetry {
            setup.check_url()?;
        }
        Ok(setup)
    }

    /// Refuses a collector that could not be spoken to. A host and a port alone are enough for gRPC.
    fn check_url(&self) -> Result<()> {
        let bare = self.protocol == Protocol::Grpc && !self.url.contains("://");
        let known = bare || self.url.starts_with("http://") || self.url.starts_with("https://");
        let names_host = self.url.parse().is_ok_and(|uri: http::Uri| uri.host().is_some_and(|host| !host.is_empty()));
        if known && names_host {
            return Ok(());
        }
        let found = &self.url;
        Err(Error::invalid(format!(
            "--trace-config `opentelemetry,url={found}`: expected http://HOST:PORT/PATH, or https:// for TLS"
        )))
    }

    /// Whether what is noted at a level would be lost, because no file is named for it.
    pub(super) fn has_nowhere_to_go(&self, level: Level) -> bool {
        level.is_on() && self.mode == Mode::Triton && self.file.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_names_and_off_stands_alone() {
        let both = Level { timestamps: true, tensors: true };
        assert_eq!(Level::parse(["TENSORS", "TIMESTAMPS"]), Ok(Some(both)));
        assert_eq!(both.names(), ["TIMESTAMPS", "TENSORS"]);
        assert_eq!(Level::parse(["OFF"]).map(|level| level.map(Level::names)), Ok(Some(vec!["OFF"])));
        assert_eq!(Level::parse(["x"]), Ok(None));
        assert_eq!(
            Level::parse(["OFF", "TENSORS"]).map_err(|error| error.message),
            Err("Expect only one trace level 'OFF' is specified".into())
        );
    }

    #[test]
    fn numbers_are_read_in_the_words_of_the_protocol() {
        for (key, value, expected) in [
            ("trace_rate", "x", "Unable to parse 'trace_rate', got: x"),
            ("trace_rate", "", "Unable to parse 'trace_rate', got: "),
            (
                "trace_rate",
                "99999999999999999999",
                "Unable to parse 'trace_rate', value is out of range [ 0, 4294967295 ], got: 99999999999999999999",
            ),
            ("trace_count", "-2", "Unable to parse 'trace_count'. Expecting value >= -1, got:-2"),
            ("log_frequency", "1.5", "Unable to parse 'log_frequency', got: 1.5"),
        ] {
            let error = Changes::default().add(key, &[value], "").expect_err(value);
            assert_eq!(error.message, expected);
        }
    }

    #[test]
    fn the_command_line_says_what_is_traced() {
        let setup = Setup::parse([
            "level=TIMESTAMPS",
            "rate=1",
            "mode=opentelemetry",
            "opentelemetry,url=http://collector:4318/v1/traces",
            "opentelemetry,resource=service.name=shop",
        ])
        .expect("good");
        assert_eq!((setup.mode, setup.values.rate), (Mode::OpenTelemetry, 1));
        assert_eq!(setup.resource, [("service.name".to_owned(), "shop".to_owned())]);
        for text in ["level=x", "rate", "rate=x", "count=-2", "mode=x", "other=1"] {
            let error = Setup::parse([text]).expect_err(text);
            assert!(error.message.starts_with("--trace-config "), "{}", error.message);
        }
    }

    #[test]
    fn a_collector_is_spoken_to_by_http_with_tls_or_without() {
        let parse = |url: &str, protocol: &str| {
            let texts = [format!("opentelemetry,url={url}"), format!("opentelemetry,protocol={protocol}")];
            Setup::parse(["mode=opentelemetry"].into_iter().chain(texts.iter().map(String::as_str)))
        };
        for (url, protocol) in [
            ("http://collector:4318/v1/traces", "http/protobuf"),
            ("https://collector/v1/traces", "http/protobuf"),
            ("https://[::1]:4317", "grpc"),
            ("collector:4317", "grpc"),
        ] {
            assert_eq!(parse(url, protocol).map(|setup| setup.url), Ok(url.to_owned()));
        }
        for (url, protocol) in [
            ("ftp://collector", "http/protobuf"),
            ("collector:4318", "http/protobuf"),
            ("", "http/protobuf"),
            ("https://", "grpc"),
            ("unix:///run/collector", "grpc"),
        ] {
            assert_eq!(
                parse(url, protocol).map_err(|error| error.message),
                Err(format!(
                    "--trace-config `opentelemetry,url={url}`: expected http://HOST:PORT/PATH, or https:// for TLS"
                ))
            );
        }
    }
}
