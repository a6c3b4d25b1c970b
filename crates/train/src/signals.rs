//! Being asked to stop by the system.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// The two flags that the handlers of SIGINT and SIGTERM read and set.
struct Signals {
    /// Whether a signal ends the process at once: always, except while a trainer listens and none has come yet.
    ends: Arc<AtomicBool>,
    /// Whether one came while a trainer listened.
    came: Arc<AtomicBool>,
}

/// The handlers are installed once and stay: the system's own cannot be put back, only acted out.
static SIGNALS: OnceLock<std::io::Result<Signals>> = OnceLock::new();

/// While this lives, the first SIGINT or SIGTERM sets a flag, and a second one ends the process.
pub(crate) struct Listening(&'static Signals);

impl Listening {
    /// Starts to listen; the system's error if it does not allow handlers.
    pub(crate) fn start() -> std::io::Result<Self> {
        match SIGNALS.get_or_init(install) {
            Ok(signals) => {
                signals.came.store(false, Ordering::SeqCst);
                signals.ends.store(false, Ordering::SeqCst);
                Ok(Self(signals))
            }
            Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// Whether a signal came.
    pub(crate) fn came(&self) -> bool {
        self.0.came.load(Ordering::SeqCst)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::SeqCst);
    }
}

fn install() -> std::io::Result<Signals> {
    let signals = Signals {
        ends: Arc::new(AtomicBool::new(true)),
        came: Arc::default(),
    };
    for signal in [SIGINT, SIGTERM] {
        // In this order: act as the system would if nobody listens, else remember, and let the next one end the process.
        flag::register_conditional_default(signal, signals.ends.clone())?;
        flag::register(signal, signals.came.clone())?;
        flag::register(signal, signals.ends.clone())?;
    }
    Ok(signals)
}
