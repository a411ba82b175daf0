//! What the network may ask of whoever owns the model repository. The plane serves what it is given; loading is not its trade.

use crate::error::Result;
use crate::log::LogSettings;

/// The value of a parameter of a load or unload request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlParameter {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text: a model configuration in JSON.
    Text(String),
    /// The content of a file.
    Bytes(Vec<u8>),
}

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Shown on request only.
    Verbose,
    /// Worth knowing.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
}

/// The owner of the model repository. Its methods may take long and block: they are called on threads made for that.
pub trait Control: Send + Sync {
    /// Loads a model; returns when it is ready, or with the reason why not.
    fn load(&self, model: &str, parameters: Vec<(String, ControlParameter)>) -> Result<()>;

    /// Unloads all versions of a model; a model that is not known counts as unloaded.
    fn unload(&self, model: &str, unload_dependents: bool) -> Result<()>;

    /// Writes one line of the log.
    fn log(&self, level: Level, message: &str);

    /// Has the log written another way from now on.
    fn set_log(&self, _settings: &LogSettings) {}
}
