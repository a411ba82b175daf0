//! Paths and what they stand for.

use std::borrow::Cow;

use crate::frontend::access::Category;
use crate::frontend::http::head::Method;
use crate::shared_memory::Kind;

/// A model, and the version the path names; empty when it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub model: Cow<'a, str>,
    pub version: &'a str,
}

/// What is asked about shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Status,
    Register,
    Unregister,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Live,
    Ready,
    ModelReady(Target<'a>),
    ServerMetadata,
    ModelMetadata(Target<'a>),
    ModelConfig(Target<'a>),
    ModelStatistics(Target<'a>),
    Statistics,
    Infer(Target<'a>),
    Generate(Target<'a>),
    GenerateStream(Target<'a>),
    Index,
    Load(Cow<'a, str>),
    Unload(Cow<'a, str>),
    NamedRepository,
    /// Without a name, all regions are meant.
    SharedMemory(Kind, Request, Cow<'a, str>),
    /// Of the server, or of a model.
    TraceSettings(Option<Cow<'a, str>>),
    ChangeTrace(Option<Cow<'a, str>>),
    LogSettings,
    ChangeLog,
    /// `/health` and `/ready`, for those who know no protocol.
    PlainHealth,
    PlainReady,
    /// `/predict` has no model in its path.
    Predict(Option<Cow<'a, str>>),
    /// A path that is known, asked with another method.
    WrongMethod,
    Unknown,
}

impl Route<'_> {
    /// What it is restricted as; `None` for what is told to everybody.
    pub(super) fn category(&self) -> Option<Category> {
        Some(match self {
            Self::Live | Self::Ready | Self::ModelReady(_) | Self::PlainHealth | Self::PlainReady => Category::Health,
            Self::ServerMetadata | Self::ModelMetadata(_) => Category::Metadata,
            Self::ModelConfig(_) => Category::ModelConfig,
            Self::ModelStatistics(_) | Self::Statistics => Category::Statistics,
            Self::Infer(_) | Self::Generate(_) | Self::GenerateStream(_) | Self::Predict(_) => Category::Inference,
            Self::Index | Self::Load(_) | Self::Unload(_) | Self::NamedRepository => Category::ModelRepository,
            Self::SharedMemory(..) => Category::SharedMemory,
            Self::TraceSettings(_) | Self::ChangeTrace(_) => Category::Trace,
            Self::LogSettings | Self::ChangeLog => Category::Logging,
            Self::WrongMethod | Self::Unknown => return None,
        })
    }
}

/// Finds the route of a request.
pub(super) fn route(method: Method, target: &[u8]) -> Route<'_> {
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let Some(path) = std::str::from_utf8(path).ok().and_then(within_server) else { return Route::Unknown };
    let mut segments = [""; 9];
    let mut count = 0;
    for segment in path.split('/') {
        let Some(place) = segments.get_mut(count).filter(|_| !segment.is_empty()) else { return Route::Unknown };
        *place = segment;
        count += 1;
    }
    // Where reading and changing have one path, any method but POST is held against GET.
    let changes = method == Method::Post;
    let either = if changes { Method::Post } else { Method::Get };
    let (route, expected) = match &segments[..count] {
        ["v2", "models", "stats"] => (Route::Statistics, Method::Get),
        ["v2", "logging"] => (if changes { Route::ChangeLog } else { Route::LogSettings }, either),
        ["v2", "trace", "setting"] => (trace_settings(None, changes), either),
        ["v2", "models", model, "trace", "setting"] => (trace_settings(Some(decode(model)), changes), either),
        ["v2", "models", model, "versions", version, rest @ ..] if is_version(version) => {
            of_model(model, version, rest)
        }
        ["v2", "models", model, rest @ ..] => of_model(model, "", rest),
        ["v2", "health", "live"] => (Route::Live, Method::Get),
        ["v2", "health", "ready"] => (Route::Ready, Method::Get),
        ["v2"] => (Route::ServerMetadata, Method::Get),
        ["v2", "repository", "index"] | ["v2", "repository", _, "index"] => (Route::Index, Method::Post),
        ["v2", "repository", "models", model, "load"] => (Route::Load(decode(model)), Method::Post),
        ["v2", "repository", "models", model, "unload"] => (Route::Unload(decode(model)), Method::Post),
        ["v2", "repository", _, "models", _, "load" | "unload"] => (Route::NamedRepository, Method::Post),
        ["v2", "systemsharedmemory", rest @ ..] => of_memory(Kind::System, rest),
        ["v2", "cudasharedmemory", rest @ ..] => of_memory(Kind::Cuda, rest),
        ["health"] => (Route::PlainHealth, Method::Get),
        ["ready"] => (Route::PlainReady, Method::Get),
        ["predict"] => (Route::Predict(None), Method::Post),
        ["predict", model] => (Route::Predict(Some(decode(model))), Method::Post),
        _ => return Route::Unknown,
    };
    let method = if method == Method::Head { Method::Get } else { method };
    if route == Route::Unknown || method == expected { route } else { Route::WrongMethod }
}

fn trace_settings(model: Option<Cow<'_, str>>, changes: bool) -> Route<'_> {
    if changes { Route::ChangeTrace(model) } else { Route::TraceSettings(model) }
}

/// The path without its first slash, and without scheme and host, which a proxy may send along.
fn within_server(path: &str) -> Option<&str> {
    let absolute = path.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let path = if absolute { &path[7..][path[7..].find('/')?..] } else { path };
    path.strip_prefix('/')
}

fn of_model<'a>(model: &'a str, version: &'a str, rest: &[&str]) -> (Route<'a>, Method) {
    let target = Target { model: decode(model), version };
    match rest {
        [] => (Route::ModelMetadata(target), Method::Get),
        ["infer"] => (Route::Infer(target), Method::Post),
        ["generate"] => (Route::Generate(target), Method::Post),
        ["generate_stream"] => (Route::GenerateStream(target), Method::Post),
        ["ready"] => (Route::ModelReady(target), Method::Get),
        ["config"] => (Route::ModelConfig(target), Method::Get),
        ["stats"] => (Route::ModelStatistics(target), Method::Get),
        _ => (Route::Unknown, Method::Other),
    }
}

fn of_memory<'a>(kind: Kind, rest: &[&'a str]) -> (Route<'a>, Method) {
    let (name, what) = match rest {
        ["region", name, what] => (decode(name), *what),
        [what] => (Cow::Borrowed(""), *what),
        _ => return (Route::Unknown, Method::Other),
    };
    match what {
        "status" => (Route::SharedMemory(kind, Request::Status, name), Method::Get),
        "register" => (Route::SharedMemory(kind, Request::Register, name), Method::Post),
        "unregister" => (Route::SharedMemory(kind, Request::Unregister, name), Method::Post),
        _ => (Route::Unknown, Method::Other),
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Undoes percent-encoding; a path without it stays where it is.
fn decode(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let (bytes, mut plain, mut at) = (segment.as_bytes(), Vec::with_capacity(segment.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digits = segment.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if let (b'%', Some(digits)) = (byte, digits) {
            plain.extend(u8::from_str_radix(digits, 16));
            at += 3;
        } else {
            plain.push(byte);
            at += 1;
        }
    }
    Cow::Owned(String::from_utf8_lossy(&plain).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target<'a>(model: &'a str, version: &'a str) -> Target<'a> {
        Target { model: model.into(), version }
    }

    #[test]
    fn paths_lead_where_the_protocol_says() {
        for (method, path, expected) in [
            (Method::Get, "/v2", Route::ServerMetadata),
            (Method::Get, "/v2/", Route::Unknown),
            (Method::Get, "/v2/health/live", Route::Live),
            (Method::Post, "/v2/health/live", Route::WrongMethod),
            (Method::Get, "/v2/models/m", Route::ModelMetadata(target("m", ""))),
            (Method::Get, "/v2/models/m/", Route::Unknown),
            (Method::Get, "/v2/models/stats", Route::Statistics),
            (Method::Get, "/v2/models/m/versions/2/stats", Route::ModelStatistics(target("m", "2"))),
            (Method::Post, "/v2/models/m/versions/x/infer", Route::Unknown),
            (Method::Post, "/v2/models/a%20b/infer?x=/y", Route::Infer(target("a b", ""))),
            (Method::Get, "/v2/models/m/infer", Route::WrongMethod),
            (Method::Post, "/v2/models/m/versions/2/generate", Route::Generate(target("m", "2"))),
            (Method::Post, "/v2/models/m/generate_stream", Route::GenerateStream(target("m", ""))),
            (Method::Post, "/v2/repository/models/m/load", Route::Load("m".into())),
            (
                Method::Get,
                "/v2/systemsharedmemory/status",
                Route::SharedMemory(Kind::System, Request::Status, "".into()),
            ),
            (
                Method::Post,
                "/v2/cudasharedmemory/region/a%20b/register",
                Route::SharedMemory(Kind::Cuda, Request::Register, "a b".into()),
            ),
            (Method::Get, "/v2/systemsharedmemory/unregister", Route::WrongMethod),
            (Method::Get, "/v2/systemsharedmemory/region/r", Route::Unknown),
            (Method::Get, "/v2/systemsharedmemory", Route::Unknown),
            (Method::Post, "/predict", Route::Predict(None)),
            (Method::Get, "/v2/logging", Route::LogSettings),
            (Method::Post, "/v2/logging", Route::ChangeLog),
            (Method::Other, "/v2/logging", Route::WrongMethod),
            (Method::Get, "/v2/trace/setting", Route::TraceSettings(None)),
            (Method::Post, "/v2/models/m/trace/setting", Route::ChangeTrace(Some("m".into()))),
            (Method::Other, "/v2/models/m/trace/setting", Route::WrongMethod),
            (Method::Get, "/v2/models/m/versions/1/trace/setting", Route::Unknown),
            (Method::Head, "/ready", Route::PlainReady),
            (Method::Get, "/", Route::Unknown),
            (Method::Get, "v2", Route::Unknown),
            (Method::Get, "*", Route::Unknown),
            (Method::Get, "http://host:8000/v2", Route::ServerMetadata),
            (Method::Get, "http://host:8000", Route::Unknown),
            (Method::Get, "/v2/models/%7A%%+1%zz%C3", Route::ModelMetadata(target("z%%+1%zz\u{fffd}", ""))),
            (Method::Get, "/v2/models//versions/1", Route::Unknown),
            (Method::Post, "/v2/repository/models//load", Route::Unknown),
            (Method::Post, "/v2/repository/r/models/m/load", Route::NamedRepository),
            (Method::Get, "/a/b/c/d/e/f/g/h/i/j", Route::Unknown),
        ] {
            assert_eq!(route(method, path.as_bytes()), expected, "{path}");
        }
    }
}
