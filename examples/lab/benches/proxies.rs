//! All contenders side by side: `cargo bench -p lab --bench proxies -- --help`.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::application::Application;
use lab::cells::Cell;
use lab::chart::svg;
use lab::load::Window;
use lab::memory;
use lab::path::{Contender, Layout, Path};
use lab::table::Table;
use lab::worker::runtime;

const HELP: &str = "\
Two hops between a client and a server, in one process over loopback: one table with ratios.

    cargo bench -p lab --bench proxies -- [OPTIONS] [CELL]...

CELL                 bulk-1, bulk-16, download-1, latency-1, requests-64, connections, memory
                     (any part of a name picks a cell; default: all)
--rounds N           rounds; contenders take turns in each (default 5)
--seconds S          measured time of one cell in one round (default 1.5)
--quick              one round of 0.4 s
--workers N          threads of each relay or proxy (default 1)
--buffer KIB         buffer of a relay in one direction (default 64)
--only NAME          only this contender besides the floor (may be repeated)
--idle N             connections of the memory cell (default 2500)

Writes proxies.json and proxies.svg into the target directory.";

/// Rows that the picture shows.
const PICTURE: [&str; 7] = [
    "bulk-1",
    "bulk-1-cpu",
    "bulk-16",
    "latency-1-p50",
    "requests-64",
    "connections",
    "memory",
];

const FLOOR: Contender = Contender::TlsRelay;

struct Options {
    cells: Vec<String>,
    only: Vec<String>,
    rounds: usize,
    window: Window,
    layout: Layout,
    idle: usize,
    /// Set in the process that measures memory.
    memory_of: Option<String>,
}

fn main() -> io::Result<()> {
    let options = parse(env::args().skip(1))?;
    if let Some(name) = &options.memory_of {
        let contender = Contender::ALL
            .into_iter()
            .find(|contender| contender.name() == name);
        let contender = contender.ok_or_else(|| io::Error::other("unknown contender"))?;
        println!(
            "{}",
            memory::per_connection(contender, options.layout, options.idle)?
        );
        return Ok(());
    }
    let contenders: Vec<_> = Contender::ALL
        .into_iter()
        .filter(|contender| options.wants(*contender))
        .collect();
    let cells: Vec<_> = Cell::ALL
        .into_iter()
        .filter(|cell| options.picks(*cell))
        .collect();
    let names = contenders
        .iter()
        .map(|contender| contender.name())
        .collect();
    let mut table = Table::new(names, FLOOR.name());
    measure(&options, &contenders, &cells, &mut table)?;
    print!("\n{}", table.text());
    let target = target_directory()?;
    fs::write(target.join("proxies.json"), table.json())?;
    fs::write(target.join("proxies.svg"), svg(&table, &PICTURE))
}

fn measure(
    options: &Options,
    contenders: &[Contender],
    cells: &[Cell],
    table: &mut Table,
) -> io::Result<()> {
    let application = Application::start()?;
    let paths = contenders
        .iter()
        .map(|contender| {
            Ok((
                *contender,
                contender.start(application.address(), options.layout)?,
            ))
        })
        .collect::<io::Result<Vec<(Contender, Path)>>>()?;
    let runtime = runtime()?;
    for round in 1..=options.rounds {
        for cell in cells {
            eprintln!("round {round} of {}: {}", options.rounds, cell.name());
            for (contender, path) in &paths {
                let figures = match cell {
                    Cell::Memory => memory_of(*contender, options)?,
                    _ => runtime.block_on(cell.run(&application, path, options.window))?,
                };
                for (row, figure) in cell.rows().iter().zip(figures) {
                    table.add(*row, contender.name(), figure);
                }
            }
        }
    }
    Ok(())
}

/// What one hop holds for an idle connection: the growth of a fresh process, less that of one without hops, halved.
fn memory_of(contender: Contender, options: &Options) -> io::Result<Vec<f64>> {
    if contender == Contender::Direct {
        return Ok(vec![f64::NAN]);
    }
    let grown = in_fresh_process(contender, options)?;
    let without = in_fresh_process(Contender::Direct, options)?;
    Ok(vec![(grown - without) / 2.0])
}

fn in_fresh_process(contender: Contender, options: &Options) -> io::Result<f64> {
    let output = Command::new(env::current_exe()?)
        .args(["--memory-of", contender.name()])
        .args(["--idle", &options.idle.to_string()])
        .args(["--workers", &options.layout.workers.to_string()])
        .args(["--buffer", &(options.layout.buffer / 1024).to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| io::Error::other("the memory probe failed"))
}

fn target_directory() -> io::Result<PathBuf> {
    // The benchmark runs as <target>/release/deps/proxies-<hash>.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).map(PathBuf::from);
    target.ok_or_else(|| io::Error::other("not below a target directory"))
}

impl Options {
    fn wants(&self, contender: Contender) -> bool {
        let named = self.only.iter().any(|name| name == contender.name());
        contender == FLOOR || self.only.is_empty() || named
    }

    fn picks(&self, cell: Cell) -> bool {
        self.cells.is_empty()
            || self
                .cells
                .iter()
                .any(|part| cell.name().contains(part.as_str()))
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> io::Result<Options> {
    let mut options = Options {
        cells: Vec::new(),
        only: Vec::new(),
        rounds: 5,
        window: Window::of(Duration::from_millis(1500)),
        layout: Layout::default(),
        idle: 2500,
        memory_of: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| io::Error::other(format!("{argument} needs a value")))
        };
        match argument.as_str() {
            "--help" => {
                println!("{HELP}");
                std::process::exit(0);
            }
            // Cargo adds it.
            "--bench" => {}
            "--quick" => {
                options.rounds = 1;
                options.window = Window::of(Duration::from_millis(400));
            }
            "--rounds" => options.rounds = number(&value()?)?,
            "--seconds" => {
                let seconds: f64 = number(&value()?)?;
                options.window = Window::of(Duration::from_secs_f64(seconds.clamp(0.01, 3600.0)));
            }
            "--workers" => options.layout.workers = number(&value()?)?,
            "--buffer" => options.layout.buffer = number::<usize>(&value()?)?.saturating_mul(1024),
            "--only" => options.only.push(value()?),
            "--idle" => options.idle = number(&value()?)?,
            "--memory-of" => options.memory_of = Some(value()?),
            other if other.starts_with('-') => {
                return Err(io::Error::other(format!("{other} is unknown; see --help")));
            }
            cell => options.cells.push(cell.to_owned()),
        }
    }
    Ok(options)
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| io::Error::other(format!("{text:?} is not a number")))
}
