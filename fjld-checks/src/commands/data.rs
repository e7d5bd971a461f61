//! `data`: the data sets that scenarios train on.

use crate::{Exit, print};
use clap::{Args, Subcommand};
use fjld_checks::error::Result;
use fjld_checks::scenarios::data::{fetch, folder};
use std::path::PathBuf;

#[derive(Args)]
pub struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Every data set, and what has to lie where
    List {
        /// A folder of data sets
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Get a data set, check its bytes, and write it whole
    Fetch {
        /// Its name, as `data list` has it
        name: String,
        /// The folder of data sets to put it in
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The address of a folder with the same files, in place of where they are published
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
        /// By the hub of candle-datasets; the program has to be built with it
        #[arg(long, conflicts_with = "mirror")]
        hub: bool,
    },
}

/// Lists the data sets, or gets one.
pub fn run(args: DataArgs) -> Result<Exit> {
    print(&match args.command {
        DataCommand::List { data } => folder::list(data.as_deref())?,
        DataCommand::Fetch {
            name,
            data,
            mirror,
            hub,
        } => {
            let from = match &mirror {
                Some(url) => fetch::From::Mirror(url),
                None if hub => fetch::From::Hub,
                None => fetch::From::Published,
            };
            fetch::fetch(fetch::named(&name)?, &data, from)?
        }
    })?;
    Ok(Exit::Done)
}
