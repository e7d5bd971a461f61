//! JSON Schema (2020-12), the part of it that our schemas use. A keyword that is not known here is refused, so that nothing of a schema
//! is passed over. Crates for all of it bring two dozen others and change the features of some that the program itself is built with,
//! which would then be built twice.

use serde_json::Value;
use std::collections::HashSet;

/// A schema whose every keyword is understood.
pub struct Validator {
    root: Value,
}

const SAYS_NOTHING: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

impl Validator {
    /// Takes a schema apart.
    ///
    /// # Errors
    /// Naming the first keyword that is not known, or what one of them holds.
    pub fn new(root: Value) -> Result<Self, String> {
        let validator = Self { root };
        validator.understand(&validator.root, "#")?;
        let defs = validator.root["$defs"].as_object();
        for (name, schema) in defs.into_iter().flatten() {
            validator.understand(schema, name)?;
        }
        Ok(validator)
    }

    fn understand(&self, schema: &Value, at: &str) -> Result<(), String> {
        let keywords = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(keywords) => keywords,
            other => return Err(format!("{at}: {other} is no schema")),
        };
        for (keyword, value) in keywords {
            let at = format!("{at}/{keyword}");
            let known = match keyword.as_str() {
                name if SAYS_NOTHING.contains(&name) => true,
                "const" => true,
                "enum" | "required" => value.is_array(),
                "type" => value.is_string() || value.is_array(),
                "minimum" | "maximum" => value.is_number(),
                "minItems" | "maxItems" => value.is_u64(),
                // the one pattern there is
                "pattern" => value == "^[0-9a-f]{64}$",
                "$ref" => self.target(value).is_some(),
                "items" | "additionalProperties" => {
                    self.understand(value, &at)?;
                    true
                }
                "anyOf" | "prefixItems" => {
                    for part in value.as_array().into_iter().flatten() {
                        self.understand(part, &at)?;
                    }
                    value.is_array()
                }
                "properties" => {
                    for (name, part) in value.as_object().into_iter().flatten() {
                        self.understand(part, &format!("{at}/{name}"))?;
                    }
                    value.is_object()
                }
                _ => false,
            };
            if !known {
                return Err(format!("{at}: {value} is not understood"));
            }
        }
        Ok(())
    }

    fn target(&self, reference: &Value) -> Option<&Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }

    /// What of a value is not as the schema says, each with its place.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.root, value, "", &mut errors);
        errors
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        let Value::Object(keywords) = schema else {
            if schema == false {
                errors.push(format!("{at}: nothing may stand here"));
            }
            return;
        };
        for (keyword, wanted) in keywords {
            let fits = match keyword.as_str() {
                "const" => value == wanted,
                "enum" => wanted.as_array().is_some_and(|all| all.contains(value)),
                "type" => match wanted {
                    Value::Array(all) => all.iter().any(|t| is_a(value, t)),
                    one => is_a(value, one),
                },
                "minimum" => !below(value, wanted),
                "maximum" => !below(wanted, value),
                "minItems" => value
                    .as_array()
                    .is_none_or(|v| v.len() as u64 >= as_count(wanted)),
                "maxItems" => value
                    .as_array()
                    .is_none_or(|v| v.len() as u64 <= as_count(wanted)),
                "pattern" => value.as_str().is_none_or(|text| {
                    text.len() == 64
                        && text
                            .chars()
                            .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
                }),
                "required" => value.as_object().is_none_or(|own| {
                    let mut names = wanted.as_array().into_iter().flatten();
                    names.all(|name| own.contains_key(name.as_str().unwrap_or_default()))
                }),
                "$ref" => {
                    if let Some(target) = self.target(wanted) {
                        self.check(target, value, at, errors);
                    }
                    true
                }
                "anyOf" => wanted.as_array().into_iter().flatten().any(|part| {
                    let mut own = Vec::new();
                    self.check(part, value, at, &mut own);
                    own.is_empty()
                }),
                "prefixItems" => {
                    let pairs = wanted
                        .as_array()
                        .into_iter()
                        .flatten()
                        .zip(value.as_array().into_iter().flatten());
                    for (k, (part, item)) in pairs.enumerate() {
                        self.check(part, item, &format!("{at}/{k}"), errors);
                    }
                    true
                }
                "items" => {
                    for (k, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(wanted, item, &format!("{at}/{k}"), errors);
                    }
                    true
                }
                "properties" => {
                    for (name, part) in wanted.as_object().into_iter().flatten() {
                        if let Some(own) = value.get(name) {
                            self.check(part, own, &format!("{at}/{name}"), errors);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let named: HashSet<&String> = schema["properties"]
                        .as_object()
                        .into_iter()
                        .flat_map(|p| p.keys())
                        .collect();
                    for (name, own) in value.as_object().into_iter().flatten() {
                        if !named.contains(name) {
                            self.check(wanted, own, &format!("{at}/{name}"), errors);
                        }
                    }
                    true
                }
                _ => true,
            };
            if !fits {
                let shown: String = value.to_string().chars().take(80).collect();
                errors.push(format!("{at}: {shown} is not of {keyword} {wanted}"));
            }
        }
    }
}

fn as_count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

fn below(a: &Value, b: &Value) -> bool {
    matches!((a.as_f64(), b.as_f64()), (Some(a), Some(b)) if a < b)
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("number") => value.is_number(),
        Some("integer") => value.as_f64().is_some_and(|v| v.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_held_against_every_keyword() {
        let schema = json!({
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": {
                "a": {"type": "integer", "minimum": 0, "maximum": 9},
                "b": {"anyOf": [{"$ref": "#/$defs/two"}, {"type": "null"}]},
                "c": {"enum": ["x", 1]},
            },
            "$defs": {"two": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}},
        });
        let validator = Validator::new(schema).expect("it is understood");
        for right in [
            json!({"a": 3}),
            json!({"a": 9.0, "b": null, "c": 1}),
            json!({"a": 0, "b": [1, 2.5]}),
        ] {
            assert_eq!(validator.errors(&right), Vec::<String>::new(), "{right}");
        }
        for wrong in [
            json!([]),
            json!({}),
            json!({"a": 1.5}),
            json!({"a": -1}),
            json!({"a": 10}),
            json!({"a": 1, "b": [1]}),
            json!({"a": 1, "b": [1, "2"]}),
            json!({"a": 1, "c": "y"}),
            json!({"a": 1, "d": 1}),
        ] {
            assert!(!validator.errors(&wrong).is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_keyword_that_is_not_known_is_refused() {
        let said = |schema| Validator::new(schema).err().unwrap_or_default();
        assert_eq!(
            said(json!({"items": {"uniqueItems": true}})),
            "#/items/uniqueItems: true is not understood"
        );
        assert_eq!(
            said(json!({"$ref": "#/$defs/none"})),
            "#/$ref: \"#/$defs/none\" is not understood"
        );
    }
}
