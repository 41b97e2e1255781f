//! The command line.

use std::net::SocketAddr;

use crate::failure::Result;

pub(crate) const HELP: &str = "\
A whole mesh in one process: a development certificate authority, two node proxies, an application.

    cargo run --release -p quickstart -- [OPTIONS]

Without options, it sends a few requests through the mesh, says what happened, and ends.

--serve           keep running, and print commands to try
--to HOST:PORT    put your own TCP server behind the mesh in place of the built-in one; implies --serve
--help            this text
";

/// What the command line asks for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) help: bool,
    pub(crate) serve: bool,
    pub(crate) to: Option<SocketAddr>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => arguments.help = true,
                "--serve" => arguments.serve = true,
                "--to" => {
                    let text = words.next().ok_or("--to needs HOST:PORT")?;
                    arguments.to = Some(address(&text)?);
                    arguments.serve = true;
                }
                other => return Err(format!("unknown option {other}; see --help").into()),
            }
        }
        Ok(arguments)
    }
}

fn address(text: &str) -> Result<SocketAddr> {
    let found = std::net::ToSocketAddrs::to_socket_addrs(text);
    let mut found = found.map_err(|error| format!("{text} is not HOST:PORT: {error}"))?;
    found
        .next()
        .ok_or_else(|| format!("{text} has no address").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments> {
        Arguments::parse(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn to_takes_an_address_and_keeps_the_mesh_running() {
        let arguments = parse(&["--to", "127.0.0.1:5432"]).unwrap();
        assert_eq!(arguments.to, Some(([127, 0, 0, 1], 5432).into()));
        assert!(arguments.serve);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (words, named) in [
            (&["--to"][..], "HOST:PORT"),
            (&["--to", "nowhere"], "nowhere"),
            (&["--sevre"], "--sevre"),
        ] {
            let error = parse(words).unwrap_err().to_string();
            assert!(error.contains(named), "{words:?}: {error}");
        }
    }
}
