//! `authz check`: answers, one or as many as there are lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::case::Case;
use crate::decide::decide;
use crate::failure::{Failure, Result};
use crate::mesh::Mesh;
use crate::question::Question;

/// The longest line of a batch: 1 MiB.
const LONGEST_LINE: usize = 1 << 20;

/// Answers one question.
pub(crate) fn one(mesh: &Mesh, asked: &Value) -> Result<Answer> {
    let question = Question::of(asked).map_err(Failure::new)?;
    let case = Case::new(mesh, &question).map_err(Failure::new)?;
    Ok(decide(mesh, &case))
}

/// Answers one question a line; how many there were, and what is to be said about the time.
pub(crate) fn batch(mesh: &Mesh, file: &Path, stats: bool) -> Result<()> {
    let failed = |error: io::Error| Failure::new(format!("{}: {error}", file.display()));
    let input: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).map_err(failed)?)
    };
    let output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let started = Instant::now();
    let lines = match answer_lines(mesh, BufReader::with_capacity(1 << 16, input), output) {
        // Whoever reads the answers has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        lines => lines.map_err(failed)?,
    };
    if stats {
        let seconds = started.elapsed().as_secs_f64();
        let rate = lines as f64 / seconds.max(f64::MIN_POSITIVE);
        eprintln!("meshctl: {lines} answers in {seconds:.3} s, {rate:.0} a second");
    }
    Ok(())
}

fn answer_lines<R: Read>(
    mesh: &Mesh,
    mut input: BufReader<R>,
    mut output: impl Write,
) -> io::Result<u64> {
    let (mut line, mut number, mut answered) = (Vec::new(), 0, 0);
    while let Some(is_whole) = next_line(&mut input, &mut line)? {
        number += 1;
        if is_whole && line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        answered += 1;
        let answer = if is_whole {
            answer(mesh, &line)
        } else {
            Err(format!("longer than {LONGEST_LINE} bytes"))
        };
        match answer {
            Ok(answer) => serde_json::to_writer(&mut output, &answer)?,
            Err(error) => {
                let error = json!({ "error": format!("line {number}: {error}") });
                serde_json::to_writer(&mut output, &error)?;
            }
        }
        output.write_all(b"\n")?;
        // Whoever asks one by one waits for the answer.
        if input.buffer().is_empty() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(answered)
}

fn answer(mesh: &Mesh, line: &[u8]) -> std::result::Result<Answer, String> {
    let question = Question::read(line)?;
    let case = Case::new(mesh, &question)?;
    Ok(decide(mesh, &case))
}

/// Reads a line without its end; `None` at the end, `false` for one that is too long and was
/// passed over.
fn next_line<R: Read>(input: &mut BufReader<R>, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut is_whole, mut is_end) = (true, true);
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok((!is_end).then_some(is_whole));
        }
        is_end = false;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (part, _) = buffer.split_at(end.unwrap_or(buffer.len()));
        let used = part.len() + usize::from(end.is_some());
        if line.len() + part.len() > LONGEST_LINE {
            is_whole = false;
        } else if is_whole {
            line.extend_from_slice(part);
        }
        input.consume(used);
        if end.is_some() {
            return Ok(Some(is_whole));
        }
    }
}
