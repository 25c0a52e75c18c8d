//! Starts a private RabbitMQ, prints its URL, and stops it when standard input closes.
//! For the demo, and for trying things out.

use std::io::{self, Read, Write};

use roh_tests::rabbit::Rabbit;

fn main() -> io::Result<()> {
    let rabbit = Rabbit::start()?;
    let mut out = io::stdout();
    writeln!(out, "{}", rabbit.url())?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(rabbit);
    Ok(())
}
