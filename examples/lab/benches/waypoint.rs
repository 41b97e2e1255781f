//! HTTP through a waypoint, beside ways that do less: `cargo bench -p lab --bench waypoint -- --help`.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use lab::chart::svg;
use lab::listen::listeners_at;
use lab::load::Window;
use lab::table::Table;
use lab::web::application::Application;
use lab::web::cells::Cell;
use lab::web::load::requests;
use lab::web::middle::{self, Middle, Start, be};
use lab::web::way::{Open, Way};
use lab::web::world::{Version, World};
use lab::worker::runtime;

const HELP: &str = "\
HTTP from a client to an application over loopback, through a waypoint and ways that do less: one table with ratios.

    cargo bench -p lab --bench waypoint -- [OPTIONS] [CELL]...

CELL                 http1-1, http1-64, http2-1, http2-64, memory
                     (any part of a name picks a cell; default: all)
--rounds N           rounds; ways take turns in each (default 5)
--seconds S          measured time of one cell in one round (default 1.5)
--quick              one round of 0.4 s
--workers N          threads of what stands in the middle (default 1)
--only NAME          only this way besides the floor (may be repeated)
--program PATH       the waypoint's program (default: this one, which is larger)

Writes waypoint.json and waypoint.svg into the target directory.";

/// Rows that the picture shows.
const PICTURE: [&str; 7] = [
    "http1-1-p50",
    "http1-64",
    "http1-64-cpu",
    "http2-1-p50",
    "http2-64",
    "http2-64-cpu",
    "memory-idle",
];

const FLOOR: Way = Way::Forwarder;
const ROUTES: usize = 5000;

struct Options {
    cells: Vec<String>,
    only: Vec<String>,
    rounds: usize,
    window: Window,
    start: Start,
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    if let (Some(middle::ARGUMENT), Some(role), Some(world), Some(workers)) = (
        arguments.next().as_deref(),
        arguments.next(),
        arguments.next(),
        arguments.next(),
    ) {
        return be(&role, &world, &workers);
    }
    let options = parse(env::args().skip(1))?;
    let ways: Vec<_> = Way::ALL
        .into_iter()
        .filter(|way| options.wants(*way))
        .collect();
    let mut table = Table::new(ways.iter().map(|way| way.name()).collect(), FLOOR.name());
    let world = Place::make(0, 0)?;
    let cells = |memory: bool| {
        let cells = Cell::ALL.into_iter().filter(|cell| options.picks(*cell));
        cells.filter(move |cell| (*cell == Cell::Memory) == memory)
    };
    for cell in cells(true) {
        memory(&options, &ways, cell, &world, &mut table)?;
    }
    let cells: Vec<_> = cells(false).collect();
    if !cells.is_empty() {
        measure(&options, &ways, &cells, &world, &mut table)?;
    }
    print!("\n{}", table.text());
    let target = target_directory()?;
    fs::write(target.join("waypoint.json"), table.json())?;
    fs::write(target.join("waypoint.svg"), svg(&table, &PICTURE))
}

fn measure(
    options: &Options,
    ways: &[Way],
    cells: &[Cell],
    place: &Place,
    table: &mut Table,
) -> io::Result<()> {
    let runtime = runtime()?;
    for round in 1..=options.rounds {
        for way in ways {
            eprintln!("round {round} of {}: {}", options.rounds, way.name());
            let open = place.open(*way, &options.start)?;
            for cell in cells {
                let figures = runtime.block_on(cell.run(&open, options.window))?;
                for (row, figure) in cell.rows().iter().zip(figures) {
                    table.add(*row, way.name(), figure);
                }
            }
        }
    }
    Ok(())
}

/// The memory of fresh processes, each after one request.
fn memory(
    options: &Options,
    ways: &[Way],
    cell: Cell,
    few: &Place,
    table: &mut Table,
) -> io::Result<()> {
    let many = Place::make(1, ROUTES)?;
    let runtime = runtime()?;
    let once = Window::of(Duration::from_millis(1));
    for round in 1..=options.rounds.min(3) {
        for way in ways.iter().filter(|way| way.role().is_some()) {
            eprintln!("round {round}: memory of {}", way.name());
            for (rows, place) in cell.rows().chunks(2).zip([few, &many]) {
                let open = place.open(*way, &options.start)?;
                runtime.block_on(requests(&open, Version::Http1, 1, once))?;
                let Some(resident) = open.middle().map(Middle::resident).transpose()? else {
                    continue;
                };
                for (row, bytes) in rows.iter().zip([resident.all, resident.anonymous]) {
                    table.add(*row, way.name(), bytes / 1e6);
                }
            }
        }
    }
    Ok(())
}

/// A world with its application.
struct Place {
    world: World,
    _application: Application,
}

impl Place {
    fn make(number: u8, routes: usize) -> io::Result<Self> {
        let network = World::own_network(number);
        let [a, b, c] = network;
        let server = Ipv4Addr::new(a, b, c, 1);
        let application = Application::start(server)?;
        // A port that is free here is free at the other addresses of this network.
        let (free, _) = listeners_at((server, 0).into(), 1)?;
        let world = World::create(network, free.port(), application.ports)?;
        world.write(routes)?;
        Ok(Self {
            world,
            _application: application,
        })
    }

    fn open(&self, way: Way, start: &Start) -> io::Result<Open> {
        way.open(&self.world, start)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.world.remove();
    }
}

fn target_directory() -> io::Result<PathBuf> {
    // The benchmark runs as <target>/release/deps/waypoint-<hash>.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).map(PathBuf::from);
    target.ok_or_else(|| io::Error::other("not below a target directory"))
}

impl Options {
    fn wants(&self, way: Way) -> bool {
        let named = self.only.iter().any(|name| name == way.name());
        way == FLOOR || self.only.is_empty() || named
    }

    fn picks(&self, cell: Cell) -> bool {
        let picked = |part: &String| cell.name().contains(part.as_str());
        self.cells.is_empty() || self.cells.iter().any(picked)
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> io::Result<Options> {
    let mut options = Options {
        cells: Vec::new(),
        only: Vec::new(),
        rounds: 5,
        window: Window::of(Duration::from_millis(1500)),
        start: Start::new(1),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| io::Error::other(format!("{argument} needs a value")))
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
            "--workers" => options.start.workers = number(&value()?)?,
            "--program" => options.start.program = Some(value()?.into()),
            "--only" => options.only.push(value()?),
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
