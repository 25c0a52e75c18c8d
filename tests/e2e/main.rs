//! End-to-end tests against a real RabbitMQ, which is started before them and stopped
//! after. Tests keep apart by the names of their exchanges and queues.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod amqp;
mod bad_input;
mod broker;
mod broker_trouble;
mod cli;
mod daemon;
mod executor;
mod hostile;
mod image;
mod management;
mod node;
#[cfg(target_os = "linux")]
mod room;
mod run;
mod script_images;
mod tenants;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use roh_tests::rabbit::Rabbit;
use tracing_subscriber::EnvFilter;

type Test = fn(&Rabbit);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // `RUST_LOG=roh=debug` shows what goes on.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let tests = [
        broker::TESTS,
        broker_trouble::TESTS,
        daemon::TESTS,
        executor::TESTS,
        hostile::TESTS,
        bad_input::TESTS,
        cli::TESTS,
        image::TESTS,
        management::TESTS,
        #[cfg(target_os = "linux")]
        room::TESTS,
        run::TESTS,
        script_images::TESTS,
        tenants::TESTS,
    ]
    .concat();
    // Listing must not wait for a broker.
    let rabbit = (!arguments.list).then(|| match Rabbit::start() {
        Ok(rabbit) => Arc::new(rabbit),
        Err(error) => panic!("{error}"),
    });
    let trials = tests.into_iter().map(|(name, test)| {
        let rabbit = rabbit.clone();
        Trial::test(name, move || {
            let rabbit = rabbit.as_ref().ok_or_else(|| Failed::from("no broker"))?;
            test(rabbit);
            Ok(())
        })
    });
    let ended = libtest_mimic::run(&arguments, trials.collect());
    if let (true, Some(rabbit)) = (ended.has_failed(), &rabbit) {
        let _ = writeln!(std::io::stderr(), "The broker's last errors, warnings and notices:");
        for line in rabbit.complaints() {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
    ended.exit_code()
}

/// Names tests after their functions.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        /// This module's tests, by name.
        pub(crate) const TESTS: &[(&str, $crate::Test)] = &[
            $((concat!(module_path!(), "::", stringify!($test)), $test)),*
        ];
    };
}
