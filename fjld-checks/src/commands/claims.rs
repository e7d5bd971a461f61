//! `claims`: what is claimed, and whether the document still says so.

use crate::{Exit, done_if, print, to_json};
use clap::Args;
use fjld_checks::claims;
use fjld_checks::document::Binding;
use fjld_checks::error::Result;
use fjld_checks::{say, view};
use std::path::PathBuf;

#[derive(Args)]
pub struct ClaimsArgs {
    /// A copy of the document
    #[arg(long, value_name = "FILE", env = "FJLD_DOCUMENT")]
    document: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Lists the claims, and compares a copy of the document with what was read.
pub fn run(args: &ClaimsArgs) -> Result<Exit> {
    let all = claims::all();
    let binding = args.document.as_deref().map(Binding::of).transpose()?;
    print(&if args.json {
        to_json(&view::claims(&all, binding.as_ref()))
    } else {
        view::claims_table(&all)
    })?;
    let Some(binding) = binding else {
        return Ok(Exit::Done);
    };
    say!("{}", binding.to_string().trim_end());
    Ok(done_if(binding.is_whole()))
}
