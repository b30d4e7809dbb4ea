//! What an operator turns off and on while the program runs: caching and compression as a whole,
//! and the caching of single routes. A request asks its route, with one load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What holds when the program starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    pub caching: bool,
    pub compression: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            caching: true,
            compression: true,
        }
    }
}

/// All switches of the process. They outlive the configuration, but not the process.
#[derive(Debug)]
pub struct Switches {
    state: Mutex<State>,
    metrics: Family<SwitchLabels, Gauge>,
}

/// One switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Which<'n> {
    Caching,
    Compression,
    /// The caching of the route with this name.
    Route(&'n str),
}

/// No route has this name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no route has this name")]
pub struct NoSuchRoute;

/// How the switches stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    pub caching: bool,
    pub compression: bool,
    /// By name.
    pub routes: Vec<(Box<str>, bool)>,
}

/// What holds for one route, all switches taken together. Clones are the same.
#[derive(Clone, Debug)]
pub struct RouteSwitch(Arc<AtomicU8>);

#[derive(Debug)]
struct State {
    caching: bool,
    compression: bool,
    routes: BTreeMap<Box<str>, Entry>,
}

#[derive(Debug)]
struct Entry {
    on: bool,
    switch: RouteSwitch,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SwitchLabels {
    switch: &'static str,
    route: String,
}

const CACHING: u8 = 1;
const COMPRESSION: u8 = 2;

impl Switches {
    /// Switches for no route yet.
    pub fn new(settings: Settings) -> Self {
        let switches = Self {
            state: Mutex::new(State {
                caching: settings.caching,
                compression: settings.compression,
                routes: BTreeMap::new(),
            }),
            metrics: Family::default(),
        };
        switches.show(Which::Caching, settings.caching);
        switches.show(Which::Compression, settings.compression);
        switches
    }

    /// Adds a gauge for each switch to `registry`, which gives the prefix.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "switch_on",
            "1 while the switch is on: caching, compression, and the caching of each route",
            self.metrics.clone(),
        );
    }

    /// What the routes of a configuration ask, in the order of their names here. A route that was
    /// there before stays as it was switched; those that are gone are forgotten.
    pub fn for_routes<'r>(&self, names: impl Iterator<Item = &'r str>) -> Vec<RouteSwitch> {
        let mut state = self.state.lock();
        let mut before = std::mem::take(&mut state.routes);
        let mut switches = Vec::new();
        for name in names {
            let kept = before.remove(name).or_else(|| state.routes.remove(name));
            let entry = kept.unwrap_or_else(|| Entry {
                on: true,
                switch: RouteSwitch::default(),
            });
            switches.push(entry.switch.clone());
            self.show(Which::Route(name), entry.on);
            state.routes.insert(name.into(), entry);
        }
        for name in before.keys() {
            self.metrics.remove(&labels(Which::Route(name)));
        }
        state.spread();
        switches
    }

    /// Turns one switch; true if it stood otherwise.
    ///
    /// # Errors
    /// [`NoSuchRoute`].
    pub fn set(&self, which: Which<'_>, on: bool) -> Result<bool, NoSuchRoute> {
        let mut state = self.state.lock();
        let switch = match which {
            Which::Caching => &mut state.caching,
            Which::Compression => &mut state.compression,
            Which::Route(name) => &mut state.routes.get_mut(name).ok_or(NoSuchRoute)?.on,
        };
        let before = std::mem::replace(switch, on);
        state.spread();
        self.show(which, on);
        Ok(before != on)
    }

    pub fn standing(&self) -> Standing {
        let state = self.state.lock();
        let routes = state.routes.iter();
        Standing {
            caching: state.caching,
            compression: state.compression,
            routes: routes
                .map(|(name, entry)| (name.clone(), entry.on))
                .collect(),
        }
    }

    fn show(&self, which: Which<'_>, on: bool) {
        self.metrics
            .get_or_create(&labels(which))
            .set(i64::from(on));
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl RouteSwitch {
    /// Whether responses are stored and answered with.
    pub fn caching(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CACHING != 0
    }

    /// Whether responses are compressed.
    pub fn compression(&self) -> bool {
        self.0.load(Ordering::Relaxed) & COMPRESSION != 0
    }
}

impl Default for RouteSwitch {
    /// On.
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(CACHING | COMPRESSION)))
    }
}

impl State {
    /// Tells the routes.
    fn spread(&self) {
        for entry in self.routes.values() {
            let caching = if self.caching && entry.on { CACHING } else { 0 };
            let compression = if self.compression { COMPRESSION } else { 0 };
            entry
                .switch
                .0
                .store(caching | compression, Ordering::Relaxed);
        }
    }
}

fn labels(which: Which<'_>) -> SwitchLabels {
    let (switch, route) = match which {
        Which::Caching => ("caching", ""),
        Which::Compression => ("compression", ""),
        Which::Route(name) => ("route", name),
    };
    SwitchLabels {
        switch,
        route: route.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_cached_where_both_switches_are_on() {
        let switches = Switches::default();
        let routes = switches.for_routes(["a", "b"].into_iter());
        let caching = || routes.iter().map(RouteSwitch::caching).collect::<Vec<_>>();
        assert_eq!(caching(), [true, true]);
        assert_eq!(switches.set(Which::Route("a"), false), Ok(true));
        assert_eq!(switches.set(Which::Route("a"), false), Ok(false));
        assert_eq!(caching(), [false, true]);
        assert_eq!(switches.set(Which::Caching, false), Ok(true));
        assert_eq!(caching(), [false, false]);
        assert!(routes[0].compression());
        assert_eq!(switches.set(Which::Caching, true), Ok(true));
        assert_eq!(caching(), [false, true]);
        assert_eq!(switches.set(Which::Route("c"), false), Err(NoSuchRoute));
    }

    #[test]
    fn another_configuration_keeps_what_was_switched() {
        let switches = Switches::new(Settings {
            caching: true,
            compression: false,
        });
        let before = switches.for_routes(["a", "b"].into_iter());
        switches.set(Which::Route("a"), false).unwrap();
        let after = switches.for_routes(["c", "a"].into_iter());
        assert!(after[0].caching() && !after[0].compression());
        assert!(!after[1].caching());
        switches.set(Which::Route("a"), true).unwrap();
        assert!(before[0].caching(), "requests of before ask the same");
        let standing = switches.standing();
        let names: Vec<&str> = standing.routes.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["a", "c"]);
        assert!(switches.set(Which::Route("b"), true).is_err());
    }
}
