//! Which requests are followed: the settings of the server and of single models, and the counting that picks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::control::Control;
use crate::error::{Error, Result};
use crate::trace::Trace;
use crate::trace::context::{Context, random};
use crate::trace::record::Record;
use crate::trace::settings::{Changes, Level, Mode, Protocol, Setup, Values};
use crate::trace::sink::Sink;

/// The server's tracing.
pub struct Tracing {
    /// Whether any request may be traced: all that others pay.
    on: AtomicBool,
    pub(super) clock: Clock,
    setup: Setup,
    state: Mutex<State>,
    ids: AtomicU64,
    sink: Sink,
}

struct State {
    server: Scope,
    models: BTreeMap<String, (Overrides, Scope)>,
}

/// Settings in force, and the requests counted by them.
struct Scope {
    values: Values,
    seen: u64,
}

/// What a model has of its own.
#[derive(Clone, Copy, Default, PartialEq)]
struct Overrides {
    level: Option<Level>,
    rate: Option<u32>,
    count: Option<i32>,
    log_frequency: Option<u32>,
}

/// Nanoseconds since 1970 that never run backwards.
pub(super) struct Clock {
    origin: Instant,
    origin_ns: u64,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { origin: Instant::now(), origin_ns: since.as_nanos() as u64 }
    }

    pub(super) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    pub(super) fn at(&self, instant: Instant) -> u64 {
        self.origin_ns + instant.saturating_duration_since(self.origin).as_nanos() as u64
    }
}

impl Tracing {
    /// Tracing as the server starts with it. `control` is told when traces cannot be delivered.
    pub fn new(setup: Setup, control: Arc<dyn Control>) -> Self {
        let server = Scope::new(setup.values);
        let sink = Sink::new(setup.clone(), control);
        let tracing = Self {
            on: AtomicBool::new(false),
            clock: Clock::new(),
            setup,
            state: Mutex::new(State { server, models: BTreeMap::new() }),
            ids: AtomicU64::new(1),
            sink,
        };
        tracing.note_whether_on(&tracing.lock());
        tracing
    }

    /// The time, when somebody might want to know it later.
    pub(crate) fn time(&self) -> Option<u64> {
        self.on.load(Ordering::Relaxed).then(|| self.clock.now())
    }

    /// The trace of a request that came in, if it is one that is followed. `context` is what its sender says of a trace.
    pub(crate) fn sample(
        self: &Arc<Self>,
        model: &str,
        context: impl FnOnce() -> Option<Context>,
    ) -> Option<Arc<Trace>> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let context = if self.setup.mode == Mode::OpenTelemetry { context() } else { None };
        let values = self.lock().scope(model).pick(context.is_some())?;
        Some(self.follow(values.level, values.log_frequency, context.as_ref().map(|context| (0, context)), true))
    }

    /// The trace of a request made by model code that was given this context.
    pub fn resume(self: &Arc<Self>, context: &str) -> Option<Arc<Trace>> {
        if !self.on.load(Ordering::Relaxed) {
            return None;
        }
        let context = Context::from_json(context)?;
        let values = self.lock().server.values;
        // The lower half of a span's number is that of its trace.
        let parent = context.span_id & u64::from(u32::MAX);
        Some(self.follow(values.level, values.log_frequency, Some((parent, &context)), false))
    }

    pub(super) fn follow(
        self: &Arc<Self>,
        level: Level,
        log_frequency: u32,
        parent: Option<(u64, &Context)>,
        is_root: bool,
    ) -> Arc<Trace> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let span_id = random() << 32 | (id & u64::from(u32::MAX));
        let context = parent.map_or_else(Context::start, |(_, context)| context.clone()).with_span(span_id);
        let record = Record {
            id,
            parent_id: parent.map_or(0, |(id, _)| id),
            is_root,
            trace_id: context.trace_id,
            span_id,
            parent_span: parent.map_or(0, |(_, context)| context.span_id),
            state: context.state.clone(),
            log_frequency,
            ..Record::default()
        };
        Arc::new(Trace { tracing: Arc::clone(self), level, id, context, record: Mutex::new(record) })
    }

    pub(super) fn finish(&self, record: Record) {
        self.sink.put(record);
    }

    /// Writes down and sends what has been noted; blocks for some seconds at most.
    pub fn close(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.sink.close();
    }

    /// Changes the settings of the server, or those of a model.
    ///
    /// # Errors
    /// `INVALID_ARG` for settings that make no sense.
    pub fn change(&self, model: Option<&str>, changes: &Changes) -> Result<()> {
        if *changes == Changes::default() {
            return Ok(());
        }
        let mut state = self.lock();
        let before = model.map_or_else(
            || Overrides::of(&state.server.values),
            |model| state.models.get(model).map(|(overrides, _)| *overrides).unwrap_or_default(),
        );
        let wanted = before.changed(changes);
        let below = if model.is_some() { state.server.values } else { self.setup.values };
        if self.setup.has_nowhere_to_go(wanted.over(below).level) {
            return Err(Error::invalid("Attempting to set invalid trace setting :trace file name is not given"));
        }
        match model {
            None => {
                state.server = Scope::new(wanted.over(self.setup.values));
                let server = state.server.values;
                for (overrides, scope) in state.models.values_mut() {
                    *scope = Scope::new(overrides.over(server));
                }
            }
            Some(model) if wanted == Overrides::default() => {
                state.models.remove(model);
            }
            Some(model) => {
                let scope = Scope::new(wanted.over(state.server.values));
                state.models.insert(model.to_owned(), (wanted, scope));
            }
        }
        self.note_whether_on(&state);
        Ok(())
    }

    /// The settings in force for the server or a model, in the protocol's words and order: names, and one value or, for the level, several.
    pub fn answer(&self, model: Option<&str>) -> Vec<(String, Vec<String>)> {
        let values = {
            let mut state = self.lock();
            model.map_or(state.server.values, |model| state.scope(model).values)
        };
        let setup = &self.setup;
        let one = |name: &str, value: String| (name.to_owned(), vec![value]);
        let level = values.level.names().into_iter().map(str::to_owned).collect();
        let mut rows = vec![
            ("trace_level".to_owned(), level),
            one("trace_rate", values.rate.to_string()),
            one("trace_count", values.count.to_string()),
        ];
        match setup.mode {
            Mode::Triton => rows.extend([
                one("log_frequency", values.log_frequency.to_string()),
                one("trace_file", setup.file.clone()),
                one("trace_mode", "triton".to_owned()),
            ]),
            Mode::OpenTelemetry => {
                rows.push(one("trace_mode", "opentelemetry".to_owned()));
                rows.push(one("url", setup.url.clone()));
                if setup.protocol == Protocol::Grpc {
                    rows.push(one("protocol", "grpc".to_owned()));
                }
                // As the other server writes them: one setting with several values has room for one only.
                let resource = setup.resource.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
                rows.push(one("resource", resource.join(",")));
                rows.push(one("bsp_max_export_batch_size", setup.max_export_batch_size.to_string()));
                rows.push(one("bsp_schedule_delay", setup.schedule_delay_ms.to_string()));
                rows.push(one("bsp_max_queue_size", setup.max_queue_size.to_string()));
            }
        }
        rows
    }

    /// A trace without a place to go to is not made.
    fn note_whether_on(&self, state: &State) {
        let has_place = self.setup.mode == Mode::OpenTelemetry || !self.setup.file.is_empty();
        let scopes = state.models.values().map(|(_, scope)| scope).chain([&state.server]);
        let on = has_place && scopes.into_iter().any(|scope| scope.values.level.is_on());
        self.on.store(on, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn scope(&mut self, model: &str) -> &mut Scope {
        match self.models.get_mut(model) {
            Some((_, scope)) => scope,
            None => &mut self.server,
        }
    }
}

impl Scope {
    fn new(values: Values) -> Self {
        Self { values, seen: 0 }
    }

    /// Whether the next request is one that is followed; a trace that came with it is, whatever the numbers say.
    fn pick(&mut self, forced: bool) -> Option<Values> {
        let values = &mut self.values;
        if !values.level.is_on() {
            return None;
        }
        let mut hit = false;
        if values.rate > 0 && (values.count != 0 || forced) {
            self.seen += 1;
            hit = self.seen.is_multiple_of(u64::from(values.rate)) && values.count != 0;
            values.count -= i32::from(hit && values.count > 0);
        }
        (hit || forced).then_some(*values)
    }
}

impl Overrides {
    fn of(values: &Values) -> Self {
        Self {
            level: Some(values.level),
            rate: Some(values.rate),
            count: Some(values.count),
            log_frequency: Some(values.log_frequency),
        }
    }

    fn changed(self, changes: &Changes) -> Self {
        Self {
            level: changes.level.applied(self.level),
            rate: changes.rate.applied(self.rate),
            count: changes.count.applied(self.count),
            log_frequency: changes.log_frequency.applied(self.log_frequency),
        }
    }

    fn over(self, below: Values) -> Values {
        Values {
            level: self.level.unwrap_or(below.level),
            rate: self.rate.unwrap_or(below.rate),
            count: self.count.unwrap_or(below.count),
            log_frequency: self.log_frequency.unwrap_or(below.log_frequency),
        }
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing").field("setup", &self.setup).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
