//! What the figures are held against.

/// A ratio of two ways of the same model, and what it should not exceed.
pub struct Target {
    pub what: &'static str,
    pub of: &'static str,
    pub to: &'static str,
    /// Of the models that have one, by name.
    pub limits: &'static [(&'static str, f64)],
}

pub const TARGETS: [Target; 6] = [
    Target {
        what: "with exact C / candle-nn's own",
        of: "exact",
        to: "plain",
        limits: &[
            ("mlp128", 0.85),
            ("mlp1024", 0.85),
            ("resnet64", 0.85),
            ("gpt16", 1.0),
        ],
    },
    Target {
        what: "with exact C / its bare matrix products",
        of: "exact",
        to: "products",
        limits: &[("mlp128", 1.5), ("mlp1024", 1.5)],
    },
    Target {
        what: "with exact C / our fastest without",
        of: "exact",
        to: "fastest",
        limits: &[
            ("mlp128", 1.08),
            ("mlp1024", 1.08),
            ("resnet64", 1.25),
            ("gpt16", 1.12),
        ],
    },
    Target {
        what: "with the diagonal too / our fastest without",
        of: "diagonal",
        to: "fastest",
        limits: &[
            ("mlp128", 1.35),
            ("mlp1024", 1.35),
            ("resnet64", 1.5),
            ("gpt16", 1.3),
        ],
    },
    Target {
        what: "with Kronecker factors / candle-nn's own",
        of: "kfac",
        to: "plain",
        limits: &[
            ("mlp128", 1.5),
            ("mlp1024", 1.5),
            ("resnet64", 1.5),
            ("gpt16", 1.5),
        ],
    },
    Target {
        what: "with Kronecker factors / our fastest without",
        of: "kfac",
        to: "fastest",
        limits: &[],
    },
];

/// Of a step with exact C over candle's own on a GPU.
pub const GPU_LIMIT: f64 = 1.2;
pub const MEMORY_LIMIT: f64 = 1.25;
pub const PEER_LIMIT: f64 = 1.0;
pub const COPY_LIMIT: f64 = 0.5;
pub const FILE_LIMIT: f64 = 2.0;
