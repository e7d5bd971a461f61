//! The printed test of the invariance, which compares what the function returns.

use crate::evidence::{Check, Draw, Finding, Kind, Outcome, Planted, Role, Size, Spec, Worlds};

/// What the printed test subtracts from each other.
enum Operand {
    /// A number.
    Number(f64),
    /// What the function returns: a dictionary.
    Dictionary,
}

impl Operand {
    /// `self - other`, as Python has it.
    fn minus(&self, other: &Self) -> Result<f64, String> {
        let name = |operand: &Self| match operand {
            Self::Number(_) => "'float'",
            Self::Dictionary => "'dict'",
        };
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Ok(a - b),
            _ => Err(format!(
                "unsupported operand types for -: {} and {}",
                name(self),
                name(other)
            )),
        }
    }
}

/// Of the two results the first so many are left as they were returned; of the others the ratio is taken.
struct Results {
    whole: usize,
}

fn examine_test(world: &Results, _: &Draw) -> Finding {
    let result = |k: usize| {
        if k < world.whole {
            Operand::Dictionary
        } else {
            Operand::Number(1.0)
        }
    };
    match result(0).minus(&result(1)) {
        Ok(difference) => {
            let summary = format!("a difference of {difference} is compared with 0.05");
            Finding::new(Outcome::Holds, 1, summary)
        }
        Err(reason) => Finding::new(Outcome::Violated, 1, format!("it does not run: {reason}")),
    }
}

/// That the test can be run.
pub fn printed_test() -> Check {
    let spec = Spec {
        id: "printed-test",
        role: Role::AsWritten,
        kind: Kind::Exact,
        hypothesis: "the printed test subtracts numbers, for the function returns numbers",
        tolerance: 0.0,
        detectable: Size::of("results left as they were returned", 1.0),
    };
    let worlds = Worlds {
        real: Results { whole: 2 },
        defect: Planted {
            what: "one result left as it was returned",
            size: 1.0,
            world: Results { whole: 1 },
        },
        truth: Planted {
            what: "of both results the ratio",
            size: 0.0,
            world: Results { whole: 0 },
        },
    };
    Check::new(spec, worlds, examine_test)
}
